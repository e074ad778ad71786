"""Rules about CloudFormation templates: what may be executed, and what a reviewer must know of a change."""
