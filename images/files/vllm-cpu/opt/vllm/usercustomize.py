"""What libraries lack is noticed when it is called, and not when they are loaded.

torch is built for CUDA, and this image has none of CUDA's computing libraries: links to an empty one stand in for them,
since nothing on a processor calls them. Python by itself asks for all functions at once.
"""

import os
import sys

sys.setdlopenflags(os.RTLD_LAZY)
