"""The one way in: every file that a user gives is read here, within limits, or refused in one line.

One module for each kind of content. All of them read whole files of a limited size, check sizes and nesting
before they allocate, decode strictly, and raise nothing but `UserError`. No other module opens a file.
"""
