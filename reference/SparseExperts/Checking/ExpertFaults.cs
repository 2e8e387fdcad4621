using SparseExperts.Autograd;
using SparseExperts.Checking.Hub;
using SparseExperts.Layers;
using SparseExperts.Ops;
using static SparseExperts.Checking.Hub.FaultParts;

namespace SparseExperts.Checking;

/// <summary>Experts whose matrices stand in other places, or are turned, exchanged or missing, all of them or one.</summary>
/// <param name="place">The layer in words: <c>layer 0</c>.</param>
sealed class ExpertFaults(Tape tape, ExpertWeights weights, int count, string place)
{
    int Looked => Math.Min(count, MostExperts);

    IEnumerable<(int A, int B)> Pairs => from a in Enumerable.Range(0, Looked) from b in Enumerable.Range(a + 1, Looked - a - 1) select (a, b);

    /// <summary>What the library calls the matrices.</summary>
    public string Gate { get; init; } = "gate_proj";
    public string Up { get; init; } = "up_proj";
    public string Down { get; init; } = "down_proj";

    /// <summary>In the order in which they are looked for.</summary>
    public IEnumerable<(string Sentence, ExpertWeights With)> All() => OfPlaces().Concat(OfTurned()).Concat(OfHalves()).Concat(OfOne()).Concat(OfOneKind());

    /// <summary>All matrices of the experts in other places.</summary>
    /// <param name="from">Whose matrices an expert computes with.</param>
    ExpertWeights Moved(Func<int, int> from)
    {
        Tensor? Own(Tensor? stack) => Placed(tape, stack, count, from);
        return weights with
        {
            Wi = Own(weights.Wi)!,
            WiGate = Own(weights.WiGate),
            Wo = Own(weights.Wo)!,
            Bi = Own(weights.Bi),
            BiGate = Own(weights.BiGate),
            Bo = Own(weights.Bo),
        };
    }

    static Func<int, int> Exchange(int a, int b) => e => e == a ? b : e == b ? a : e;

    IEnumerable<(string, ExpertWeights)> OfPlaces()
    {
        foreach (var (a, b) in Pairs) yield return ($"experts {a} and {b} exchanged in {place}", Moved(Exchange(a, b)));
        yield return ($"expert ids of {place} shifted by one", Moved(e => (e + 1) % count));
        yield return ($"expert ids of {place} shifted by minus one", Moved(e => (e + count - 1) % count));
        yield return ($"experts of {place} in reverse order", Moved(e => count - 1 - e));
    }

    /// <summary>Their matrices turned, where they are square, all of one kind or one.</summary>
    IEnumerable<(string, ExpertWeights)> OfTurned()
    {
        for (var only = -1; only < Looked; only++)
        {
            int? one = only < 0 ? null : only;
            var whose = only < 0 ? "the experts" : $"expert {only}";
            string Transposed(string name) => $"{name} of {whose} of {place} transposed";
            if (Turned(tape, weights.Wo, count, one) is { } wo) yield return (Transposed(Down), weights with { Wo = wo });
            if (Turned(tape, weights.Wi, count, one) is { } wi) yield return (Transposed(Up), weights with { Wi = wi });
            if (weights.WiGate is { } gate && Turned(tape, gate, count, one) is { } turned) yield return (Transposed(Gate), weights with { WiGate = turned });
        }
    }

    /// <summary>Gate and up of all experts taken for each other.</summary>
    IEnumerable<(string, ExpertWeights)> OfHalves()
    {
        if (weights.WiGate is not { } gate) yield break;
        var exchanged = weights with { Wi = gate, WiGate = weights.Wi, Bi = weights.BiGate, BiGate = weights.Bi };
        yield return ($"gate and up projections of the experts exchanged in {place}", exchanged);
        yield return ($"gate and up of {place} split in halves in place of turns", PackedColumns.Halved(tape, weights));
        yield return ($"gate and up of {place} split in turns in place of halves", PackedColumns.TakenInTurns(tape, weights));
    }

    /// <summary>One expert that has what is another's, or nothing.</summary>
    IEnumerable<(string, ExpertWeights)> OfOne()
    {
        for (var e = 0; e < Looked; e++)
        {
            Tensor? Own(Tensor? stack, Tensor? other) => stack is null || other is null ? stack : Replaced(tape, stack, other, count, e);
            if (weights.WiGate is { } gate)
                yield return ($"{Gate} and {Up} of expert {e} exchanged in {place}", weights with
                {
                    Wi = Own(weights.Wi, gate)!,
                    WiGate = Own(gate, weights.Wi),
                    Bi = Own(weights.Bi, weights.BiGate),
                    BiGate = Own(weights.BiGate, weights.Bi),
                });
            var (silent, mute) = (tape.Scale(weights.Wo, 0), weights.Bo is { } bias ? tape.Scale(bias, 0) : null);
            yield return ($"expert {e} of {place} adds nothing", weights with { Wo = Own(weights.Wo, silent)!, Bo = Own(weights.Bo, mute) });
        }
        foreach (var (a, b) in Pairs)
        {
            yield return ($"expert {a} of {place} computes with the matrices of expert {b}", Moved(e => e == a ? b : e));
            yield return ($"expert {b} of {place} computes with the matrices of expert {a}", Moved(e => e == b ? a : e));
        }
    }

    /// <summary>One matrix of two experts exchanged.</summary>
    IEnumerable<(string, ExpertWeights)> OfOneKind()
    {
        foreach (var (a, b) in Pairs)
        {
            Tensor? Own(Tensor? stack) => Placed(tape, stack, count, Exchange(a, b));
            string Exchanged(string name) => $"{name} of experts {a} and {b} exchanged in {place}";
            yield return (Exchanged(Down), weights with { Wo = Own(weights.Wo)!, Bo = Own(weights.Bo) });
            yield return (Exchanged(Up), weights with { Wi = Own(weights.Wi)!, Bi = Own(weights.Bi) });
            if (weights.WiGate is { } gate) yield return (Exchanged(Gate), weights with { WiGate = Own(gate), BiGate = Own(weights.BiGate) });
            if (weights.WiGate is null) continue;
            var both = weights with { Wi = Own(weights.Wi)!, WiGate = Own(weights.WiGate), Bi = Own(weights.Bi), BiGate = Own(weights.BiGate) };
            yield return (Exchanged($"{Gate} and {Up}"), both);
        }
    }
}
