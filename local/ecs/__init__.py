"""ECS whose services really run."""
