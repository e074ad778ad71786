"""What can be predicted, as arrays: a module a task, as in lockgate/tasks, where its rules are."""
