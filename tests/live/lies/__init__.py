"""The ways in which a reload lies: whatever is planted in a save, the panel says what is so.

Each fault strikes a real save: in the staged files before the engines check them, or in the published files before HAProxy
reads them, where no check can see it. Visitors come all the time. What the operator is told must be what new
connections meet, the rows must be as before, and the next good save must work.
"""
