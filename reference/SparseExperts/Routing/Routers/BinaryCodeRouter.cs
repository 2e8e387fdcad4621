using System.Numerics;
using SparseExperts.Autograd;
using SparseExperts.Ops;

namespace SparseExperts.Routing;

/// <summary>
/// DSelect-k (Hazimeh et al. 2021, section 3; google-research dselect_k_moe.py): k selectors, each a binary code of ⌈log₂E⌉ smooth steps, most
/// significant bit first; their weights are a softmax. The gates of all experts are computed and most become exactly 0.
/// </summary>
/// <remarks>S(z) = 0 below −γ/2, 1 above γ/2, −2z³/γ³ + 3z/(2γ) + ½ between; selector_i(e) = Π_bits (S or 1 − S); γ = 1.</remarks>
public static class BinaryCodeRouter
{
    const double EntropyGuard = 1e-6;

    public static int Bits(int experts) => experts <= 1 ? 0 : BitOperations.Log2((uint)experts - 1) + 1;

    /// <summary>Gates [T, E], and the mean entropy of the selectors.</summary>
    public static Tensor Weights(Tape tape, RouterCall call, Tensor input, RouterWeights router, out Tensor entropy)
    {
        using var place = tape.Within("router");
        using var exact = tape.Exactly();
        int k = call.K, bits = Bits(call.Experts), all = 1 << bits, tokens = call.Tokens;
        var perExample = router.Codes!.Rows > 1;
        var codes = perExample ? tape.Linear(input, router.Codes) : tape.RepeatRow(router.Codes, input);          // [T, k·bits]
        var mix = tape.Softmax(perExample ? tape.Linear(input, router.CodeWeights!) : tape.RepeatRow(router.CodeWeights!, input));     // [T, k]
        var steps = SmoothStep(tape, codes);
        var complement = tape.Shift(tape.Scale(steps, -1), 1);
        Tensor? gates = null;
        entropy = tape.Scalar(0);
        for (var i = 0; i < k; i++)
        {
            Tensor? selector = null;
            for (var b = 0; b < bits; b++)
            {
                int[] ones = new int[tokens * call.Experts], zeros = new int[ones.Length];
                for (var n = 0; n < ones.Length; n++)
                {
                    int t = n / call.Experts, e = n % call.Experts, at = t * k * bits + i * bits + b;
                    (ones[n], zeros[n]) = (e >> (bits - 1 - b) & 1) == 1 ? (at, -1) : (-1, at);
                }
                var factor = tape.Add(tape.GatherElements(steps, ones, tokens, call.Experts), tape.GatherElements(complement, zeros, tokens, call.Experts));
                selector = selector is null ? factor : tape.Multiply(selector, factor);
            }
            int[] firsts = [.. Enumerable.Range(0, tokens).Select(t => t * k)];
            selector ??= tape.Shift(tape.Scale(tape.RepeatColumn(tape.GatherElements(mix, firsts, tokens, 1), call.Experts), 0), 1);
            var share = tape.GatherElements(mix, [.. Enumerable.Range(0, tokens).Select(t => t * k + i)], tokens, 1);
            var weighted = tape.ScaleRows(selector, share);
            gates = gates is null ? weighted : tape.Add(gates, weighted);
            var logs = tape.Multiply(selector, tape.Activate(Activation.Log, tape.Shift(selector, EntropyGuard)));
            entropy = tape.Add(entropy, tape.SumColumns(tape.SumRows(logs), -1));
        }
        return gates!;
    }

    /// <summary>The cubic that is flat outside ±½.</summary>
    public static Tensor SmoothStep(Tape tape, Tensor z)
    {
        var inside = tape.Clamp(z, -0.5, 0.5);
        var cube = tape.Multiply(tape.Multiply(inside, inside), inside);
        return tape.Clamp(tape.Shift(tape.Add(tape.Scale(cube, -2), tape.Scale(inside, 1.5)), 0.5), 0, 1);
    }
}
