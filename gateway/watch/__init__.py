"""The watch, off the path of requests: what is seen becomes a score, a score becomes a step, a step becomes what is done."""
