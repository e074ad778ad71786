"""What runs in containers and is ours, not the team's: the steps of a pipeline, the evaluator and the server."""
