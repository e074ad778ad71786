"""Images: a builder that needs no container runtime, the docker command on it, pushing."""
