"""Policies for GPU deployments: rules as data, readers of facts, one evaluator."""
