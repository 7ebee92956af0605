"""Rows of layer 4: a client, a balancer and endpoints in network namespaces of their own, and the ways from one to the other."""
