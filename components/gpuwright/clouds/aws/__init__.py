"""AWS: the parts of a deployment, one component resource a file, each usable alone."""
