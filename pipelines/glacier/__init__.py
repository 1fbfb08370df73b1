"""Satellite imagery of Greenland's glaciers: satellite, regions and dates, run next to the scenes.

What is asked for becomes a plan of jobs, one for each region and window of days, and the exact
requests that start them on Lambda, Batch, ECS or Fargate. A plan is made without credentials and
without a network, and says everything that a run would send.
"""
