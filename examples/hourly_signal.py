"""A signal for the next hour, with its reasons, as an object.

Trains a model on ten days of simulated bars unless one that fits is in the model folder.  Prints the signal as a prompt
shows it, then the conditions that hold, then what its forecast is made of.
"""

from crypto_refactor import SignalGenerator


def main() -> None:
    """Print the signal of BTC/USD at the end of the simulation."""
    generator = SignalGenerator("BTC/USD", source="sample", network="linear")
    signal = generator.generate_signals(hours=240)
    print(signal)

    held = [name for name, holds in signal.conditions.items() if holds]
    print(f"\nHold for the forecast's side: {', '.join(held)} ({signal.required} confirmations are needed).")
    print(f"The model forecasts by {signal.model.forecasts_by}.")
    if not signal.worth_a_trade:
        print("A round trip costs more than the move that is expected.")


if __name__ == "__main__":
    main()
