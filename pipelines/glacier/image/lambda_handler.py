"""The module that Lambda is told to call; it lies at the top of the image.

Functions are configured with `lambda_handler.handler`, older ones with the other name.
"""

from pipelines.glacier.run.lambda_handler import handler, lambda_handler

__all__ = ["handler", "lambda_handler"]
