"""What a gate decides, from verified evidence by a policy."""
