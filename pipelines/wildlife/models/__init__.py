"""Every form of the pipeline in one place; the JSON Schemas in `schemas/` are made from these."""
