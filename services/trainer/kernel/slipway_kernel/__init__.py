"""Slipway's kernel: one process that trains, evaluates or measures one thing for a parent that speaks kernel-protocol to it."""

VERSION = "0.1.0"
