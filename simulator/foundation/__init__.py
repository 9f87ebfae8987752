"""What every layer of the code uses: errors for people, documents, bundled data, whole-file writes."""

from simulator.foundation.errors import UserError, nearest_name

__all__ = ["UserError", "nearest_name"]
