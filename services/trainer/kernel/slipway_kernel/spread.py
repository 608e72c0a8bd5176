"""torchrun that ends with whoever started it, also while it waits for other machines; its processes end with it. Its arguments are
torchrun's."""

from __future__ import annotations

from slipway_kernel.parent import die_with_parent

if __name__ == "__main__":
    die_with_parent()
    from torch.distributed.run import main

    main()
