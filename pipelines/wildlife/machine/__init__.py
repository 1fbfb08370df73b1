"""The state machine: its one definition, and an interpreter of it for machines without AWS."""
