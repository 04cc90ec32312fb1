"""What is wrong with a data set: see check.py for the story, and findings.py for what comes of it."""
