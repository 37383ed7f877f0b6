"""Whole journeys, told as stories in browsers, with every part of the product at work.

A test of this folder is a day of a customer and an agent: the customer holds the simulator's phone, the agent sits in the
workspace, and between them work a real worker, beat, the parser, the simulated providers and their mail server. Nothing
is drained by the test itself. `stage.py` sets the scene; each story names in its docstring which steps of the story wait
for a feature that does not exist yet.
"""
