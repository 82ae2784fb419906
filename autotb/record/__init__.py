"""What is known of an exception, as plain data: made in a worker, carried on the exception, read where it arrives.

Flows in: live exceptions, frames and values.  Flows out: records.  Nothing here knows an engine, or imports what shows an error.
"""
