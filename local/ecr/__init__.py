"""ECR: repositories with their own rules, layers, referrers, scans."""
