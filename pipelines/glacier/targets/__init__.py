"""The services that can run a job, and the exact arguments of the request that each one takes."""
