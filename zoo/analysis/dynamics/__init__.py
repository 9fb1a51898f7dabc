"""Comparators of dynamics: how states follow each other, whatever they look like."""
