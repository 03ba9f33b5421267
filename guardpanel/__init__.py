"""guardpanel: the control panel for HAProxy and Coraza."""

__version__ = "0.1.0"
