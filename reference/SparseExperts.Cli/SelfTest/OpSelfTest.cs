using SparseExperts.Scalar;

namespace SparseExperts.Cli.SelfTest;

/// <summary>
/// Every op card on a backend: the edges and the large cases of the card and some drawn ones, overwriting and accumulating, with guard words around
/// every view. Numbers that are not the definition's bits must lie within the derived bound of the double arbiter.
/// </summary>
static class OpSelfTest
{
    const int DrawnCases = 8;

    public static IEnumerable<SelfTestResult> Run(IBackend backend, int seed, int maxSize) => OpCards.All.Select(card => Run(backend, card, seed, maxSize));

    static SelfTestResult Run(IBackend backend, OpCard card, int seed, int maxSize)
    {
        var random = new Random(seed);
        var drawn = Enumerable.Range(0, DrawnCases).Select(_ => card.Sample(random, Math.Min(maxSize, 96)));
        var (cases, same, worst, worstCase) = (0, 0, 0.0, (string?)null);
        foreach (var @case in card.Edges.Concat(card.Large).Concat(drawn).Where(c => Largest(c) <= maxSize))
        {
            cases++;
            var (sameBits, share, fault) = Judge(backend, card, @case);
            if (fault is not null) return new("op", card.Name, cases, same, worst, @case.ToString(), fault);
            if (sameBits) same++;
            if (share > worst) (worst, worstCase) = (share, @case.ToString());
        }
        return new("op", card.Name, cases, same, worst, worstCase, null);
    }

    static (bool SameBits, double Share, string? Fault) Judge(IBackend backend, OpCard card, OpCase @case)
    {
        OpResult actual;
        try
        {
            actual = OpRunner.Run(backend, card, @case);
        }
        catch (Exception e) when (e is not DeviceFaultException)
        {
            return (false, 0, $"breaks over the call ({e.GetType().Name}: {e.Message})");
        }
        if (actual.Trespasses.Count > 0) return (false, 0, $"writes outside of {actual.Trespasses[0]}");
        if (actual.Modified.Count > 0) return (false, 0, $"changes its input {actual.Modified[0]}");
        var defined = OpRunner.Run(new ScalarBackend<Float32>(), card, @case);
        if (defined.Values.All(v => OpRunner.SameBits(v.Value, actual.Values[v.Key]))) return (true, 0, null);
        var isFloat32 = actual.Values.All(v => v.Value.All(x => double.IsNaN(x) || x == (float)x));       // a wider arithmetic has bounds alone
        if (isFloat32 && card.Exactness is Bitwise)
            foreach (var (name, expected) in defined.Values.Where(v => Deviation.IsAsTheCardSays(@case, v.Key)))
                if (OpRunner.FirstDifference(expected, actual.Values[name]) is >= 0 and var at) return (false, 0, $"{name}[{at}] is {actual.Values[name][at]:R}, expected {expected[at]:R}");
        var deviation = Deviation.Of(actual, card, @case, backend.Info.ProductOperandError);
        return (false, deviation.WorstShare, deviation.Fault);
    }

    static int Largest(OpCase @case) => @case.Inputs.SelectMany(i => (int[])[i.Rows, i.Columns]).Append(0).Max();
}
