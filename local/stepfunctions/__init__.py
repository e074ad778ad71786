"""Step Functions: tasks that act as a role."""
