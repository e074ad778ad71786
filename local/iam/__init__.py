"""IAM and STS: who exists, who may do what, and credentials of roles."""
