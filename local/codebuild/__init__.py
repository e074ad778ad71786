"""CodeBuild whose builds really run."""
