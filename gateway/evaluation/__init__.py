"""The evaluation of the watch, offline: real text at real times through the very code that judges tenants.

Nothing here runs beside the gateway. Rule 1: what is fitted is never what is tested. Rule 2: a figure is printed with how it
was made, and with what it was held out from. Rule 3: all chance comes from a seed, so a report can be made again.
"""
