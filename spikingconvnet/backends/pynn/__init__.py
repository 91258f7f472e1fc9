"""Simulators behind PyNN."""
