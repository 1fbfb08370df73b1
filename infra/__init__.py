"""The CDK app, and what it needs to know without CDK: permissions, and what a boot runs."""
