"""Kernels forked from a warm zygote, and the provisioner that asks for them."""
