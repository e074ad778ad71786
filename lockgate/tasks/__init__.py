"""What can be predicted: a task is one module here, for its rules, and one in runtime/tasks, for its arrays."""
