using SparseExperts.Formats;

namespace SparseExperts.Oracle;

/// <summary>The right numbers, rounded once to a narrow format at the end of a stage.</summary>
static class RoundedNumbers
{
    /// <summary>Numbers that must show it, so that they are in the format by no accident.</summary>
    const int Telling = 4;

    /// <summary>Where every claimed number is one of the format, and the nearest to what is expected.</summary>
    public static Cause? Find(string stage, Departure of)
    {
        foreach (var format in StoredFormat.Narrow)
        {
            if (!of.Claimed.All(v => Rounding.To(format, v) == v) || of.Places.Count() < Telling) continue;
            double[] rounded = [.. of.Expected.Select(v => Rounding.To(format, v))], slack = [.. of.Bounds.Select((b, i) => b == 0 ? 0 : Slack(format, of, i))];
            if (!of.AreOthers(rounded, slack)) continue;
            var what = stage.StartsWith("grad.", StringComparison.Ordinal) ? $"the gradient of {stage[5..]}"
                : stage == "correction_bias" ? "the bias after its step" : stage;
            return new(stage, $"rounded to {format.Name()}", $"{what} was rounded to {format.Word()}: every claimed number is one");
        }
        return null;
    }

    /// <summary>Where the number is so near the middle of two that rounding before may lead to either, the one is as good as the other.</summary>
    static double Slack(NumberFormat format, Departure of, int i)
    {
        double down = Rounding.To(format, of.Expected[i] - of.Bounds[i]), up = Rounding.To(format, of.Expected[i] + of.Bounds[i]);
        return up - down;
    }
}
