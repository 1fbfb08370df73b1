# The verbs of wildlife runs: on AWS, at LocalStack, and their tests. `make wildlife` lists them.
WILDLIFE_ENV ?= dev
WILDLIFE_REGION ?= eu-north-1
WILDLIFE_INPUT ?= configs/localstack/input.json
WILDLIFE_BUILD := build/wildlife
WILDLIFE_IMAGE := towpath-wildlife-detector
WILDLIFE_AT := --region $(WILDLIFE_REGION) --environment $(WILDLIFE_ENV)
COMPOSE := docker compose --file configs/localstack/compose.yaml
LOCALSTACK := $(BIN)/python -m scripts.wildlife.localstack

.PHONY: wildlife up-localstack down-localstack deploy-local run-local logs-local status-local \
  doctor-local destroy-local build-docker package-wildlife deploy-aws run-aws test-local typecheck schema

wildlife: ## list the verbs of wildlife runs: AWS, LocalStack, their tests
	@grep -hE '^[a-z-]+:.* #: ' make/wildlife.mk | sed 's/:[^#]*#: /\t/' | expand -t 20

up-localstack: #: start LocalStack and wait until it is well, 90 seconds at most
	@$(COMPOSE) up --detach --wait --wait-timeout 90

down-localstack: #: stop LocalStack; what it held stays
	@$(COMPOSE) down

deploy-local: up-localstack install package-wildlife #: make bucket, roles, functions, queue and state machine there; can be repeated
	@$(LOCALSTACK) deploy --packages "$$(cat $(WILDLIFE_BUILD)/newest)" --region $(WILDLIFE_REGION)

run-local: install #: run WILDLIFE_INPUT there, wait, print the output; not 0 where it fails
	@$(BIN)/towpath wildlife run --mode localstack $(WILDLIFE_AT) --input $(WILDLIFE_INPUT)

logs-local: #: follow LocalStack's log
	@$(COMPOSE) logs --follow --tail 200

status-local: install #: state machines, functions, queues and the last executions there
	@$(LOCALSTACK) status --region $(WILDLIFE_REGION)

doctor-local: install #: look at each service that a run needs
	@$(LOCALSTACK) doctor --region $(WILDLIFE_REGION)

destroy-local: install #: remove what deploy-local has made; pictures and results stay
	@$(LOCALSTACK) destroy --region $(WILDLIFE_REGION)

package-wildlife: $(INFRA_VENV)/.done #: build the functions' packages, and say what they weigh
	@mkdir -p $(WILDLIFE_BUILD)
	@$(INFRA)/python -m infra.wildlife_package $(WILDLIFE_BUILD) > $(WILDLIFE_BUILD)/newest

build-docker: #: build the image of the detection, tagged with version and commit, and say its digest
	@docker build --file pipelines/wildlife/image/Dockerfile \
	  --build-arg VERSION="$$(git describe --always --dirty)" \
	  --tag $(WILDLIFE_IMAGE):local --tag $(WILDLIFE_IMAGE):"$$(git describe --always --dirty)" .
	@docker image inspect --format '{{.Id}}' $(WILDLIFE_IMAGE):local

deploy-aws: install synth package-wildlife build-docker #: lint, package, push, deploy the stack, print its outputs
	@test -x infra/node_modules/.bin/cdk || npm ci --no-progress --prefix infra
	@$(BIN)/python -m scripts.wildlife.deploy_aws --packages "$$(cat $(WILDLIFE_BUILD)/newest)" \
	  --image $(WILDLIFE_IMAGE):local $(WILDLIFE_AT)

run-aws: install #: run WILDLIFE_INPUT on AWS by the stack's state machine, wait, print the output
	@$(BIN)/towpath wildlife run --mode aws --input $(WILDLIFE_INPUT) $(WILDLIFE_AT) \
	  --state-machine "$$($(BIN)/python -m scripts.wildlife.deploy_aws --output StateMachineArn $(WILDLIFE_AT))"

test-local: install #: the tests of wildlife runs alone; no network, no Docker, no AWS
	@$(PYTEST) -q tests/unit/pipelines/wildlife tests/integration/pipelines/wildlife \
	  $(wildcard tests/acceptance/test_wildlife_*.py)

typecheck: types #: mypy, strict

schema: install #: write the JSON Schemas of the models anew
	@$(BIN)/python -m scripts.reference_schemas pipelines/wildlife/schemas
