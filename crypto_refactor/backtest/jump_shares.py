"""How much of a result rests on closes that jump."""

from dataclasses import dataclass

import numpy as np

from crypto_refactor.backtest.engine import Simulation
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.plausibility import Jump, JumpKind


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpShare:
    """What one jump means for an account.

    Attributes
    ----------
    as_move : float
        What the jump makes of the position held into it, taken as a move: a fraction of the initial balance.
    counted : float
        The part of it that the result contains: all of a move that stayed, none of a bad tick or a level break.
    """

    jump: Jump
    as_move: float
    counted: float

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON."""
        return self.jump.to_dict() | {"as_move": self.as_move, "counted": self.counted}


def jump_shares(jumps: tuple[Jump, ...], window: Bars, run: Simulation) -> tuple[JumpShare, ...]:
    """Return the share of each of `jumps` that lies within `window`, on which `run` was made."""
    shares = []
    for jump in jumps:
        row = int(np.searchsorted(window.opened, jump.opened))
        if not 0 < row < len(window) or window.opened[row] != jump.opened:
            continue
        held = float(run.quantity[row - 1]) * float(window.close[row - 1])
        as_move = held * jump.move / float(run.equity[0])
        counted = as_move if jump.kind is JumpKind.MOVE else 0.0
        shares.append(JumpShare(jump=jump, as_move=as_move, counted=counted))
    return tuple(shares)
