"""The task definitions of ECS and Fargate."""
