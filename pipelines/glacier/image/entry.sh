#!/bin/sh
# Two ways in: Lambda sets the address of its runtime interface, Batch, ECS and Fargate do not.
set -eu
case "${1:-}" in
  runner)
    shift
    exec python -m pipelines.glacier.run.runner "$@"
    ;;
  self-check)
    exec python -m pipelines.glacier.image.self_check
    ;;
esac
if [ -n "${AWS_LAMBDA_RUNTIME_API:-}" ]; then
  exec python -m awslambdaric "${1:-lambda_handler.handler}"
fi
exec python -m pipelines.glacier.run.runner
