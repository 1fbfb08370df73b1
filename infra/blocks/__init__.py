"""What the stacks are built of: buckets, network, role, machines, alarms."""
