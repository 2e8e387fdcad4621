using SparseExperts.Conformance.Mutants;
using SparseExperts.Cpu;
using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;
using Xunit;

namespace SparseExperts.Conformance.Cuda;

/// <summary>Grouped products by cuBLAS where the device alone knows the groups: within the bound, and in tiles where those gain.</summary>
public sealed class PaddedProductTests
{
    const int Depth = 6, Columns = 5;

    /// <summary>A plan with groups of no row, of few, and of more than a tile.</summary>
    public static TheoryData<Precision, int, int> Plans => new()
    {
        { Precision.Tf32, 300, RoutingPlan.Unlimited },
        { Precision.Tf32, 300, 160 },
        { Precision.Bf16, 300, 160 },
        { Precision.Bf16, 9, 2 },
        { Precision.F32, 300, 160 },
    };

    [Theory, MemberData(nameof(Plans))]
    public void Lie_within_the_bound(Precision precision, int tokens, int capacity)
    {
        var rule = new PlanRule(1, tokens, 5, 1, capacity);
        using var driver = new EmulatedDriver(CudaFixture.Large with { Multiprocessors = 1, Checks = EmulatorChecks.All });
        using var backend = new CudaBackend(driver, precision: precision);
        var (expected, products) = (Products(new CpuBackend(1), Host(rule), rule, accumulate: false), Products(backend, Made(backend, rule), rule, false));
        Near(expected, products, precision);
        Near(Products(new CpuBackend(1), Host(rule), rule, accumulate: true), Products(backend, Made(backend, rule), rule, true), precision);
        Assert.Equal(precision != Precision.F32, driver.Counters.Launches.ContainsKey("pad_rows"));
    }

    /// <summary>One instruction of a kernel of tiles changed: the bound sees it, or the emulator does.</summary>
    [Fact]
    public void A_change_of_one_instruction_is_seen()
    {
        var mutants = MutantRun.Draw(["padded_tiles", "pad_rows", "unpad_rows"], perKernel: 12, seed: 1).ToArray();
        var survivors = mutants.Where(m => !IsSeen(m)).Select(m => m.ToString()).ToArray();
        Assert.Equal(36, mutants.Length);
        Assert.True(survivors.Length <= 4, string.Join(Environment.NewLine, survivors));
    }

    static bool IsSeen(Mutant mutant)
    {
        using var backend = MutantRun.Planted(mutant, 1, Precision.Bf16);
        var rule = new PlanRule(1, 300, 5, 1, 160);
        try
        {
            foreach (var accumulate in (bool[])[false, true])
                Near(Products(new CpuBackend(1), Host(rule), rule, accumulate), Products(backend, Made(backend, rule), rule, accumulate), Precision.Bf16);
            return false;
        }
        catch (Exception e) when (e is CudaFault or InvalidDataException or Xunit.Sdk.XunitException)
        {
            return true;
        }
    }

    [Fact]
    public void A_product_with_too_few_tiles_goes_by_the_own_kernels()
    {
        using var driver = new EmulatedDriver(CudaFixture.Large);
        using var backend = new CudaBackend(driver, precision: Precision.Bf16);
        var rule = new PlanRule(1, 300, 5, 1, 160);
        var products = Products(backend, Made(backend, rule), rule, accumulate: false);
        Assert.Equal(Products(new CpuBackend(1), Host(rule), rule, accumulate: false), products);
        Assert.DoesNotContain("pad_rows", driver.Counters.Launches.Keys);
    }

    static void Near(float[][] expected, float[][] products, Precision precision)
    {
        foreach (var (one, other) in expected.Zip(products))
            for (var i = 0; i < one.Length; i++)
            {
                // Factors and terms are in [−1, 1]; a sum has at most as many terms as a group has rows, and the number that it starts from.
                var (terms, factor) = (one == expected[2] ? 300 : Columns + Depth, precision.OperandError());
                var bound = (terms + 1) * (2 * factor + factor * factor + (terms + 1) * Math.ScaleB(1, -24));
                Assert.True(Math.Abs(one[i] - other[i]) <= bound, $"{one[i]} and {other[i]} at {i}, the bound is {bound}");
            }
    }

    /// <summary>Expert 0 takes most tokens, expert 3 none.</summary>
    static int ExpertOf(int token) => token % 8 is var kind && kind < 5 ? 0 : kind == 5 ? 1 : kind == 6 ? 2 : 4;

    static Func<IBackend, Indices> Host(PlanRule rule)
    {
        int[] counts = new int[rule.Experts], offsets = new int[rule.Experts + 1];
        for (var t = 0; t < rule.Tokens; t++) counts[ExpertOf(t)]++;
        for (var e = 0; e < rule.Experts; e++) offsets[e + 1] = offsets[e] + Math.Min(counts[e], rule.Capacity);
        return backend => backend.Upload(offsets);
    }

    static Func<IBackend, Indices> Made(CudaBackend backend, PlanRule rule) => _ =>
    {
        var scores = backend.Rent(rule.Tokens, rule.Experts);
        backend.Write(scores, [.. Enumerable.Range(0, rule.Tokens * rule.Experts).Select(i => ExpertOf(i / rule.Experts) == i % rule.Experts ? 1f : 0)]);
        var arrays = PlanArrays.In(backend.Rent(ElementType.Integer, PlanArrays.Length(rule)), rule);
        backend.Routing!.Plan(rule, new(scores), arrays);
        return arrays.Offsets;
    };

    /// <summary>X·W_g, Y·W_gᵀ and X_gᵀ·Y_g, rows of no group with them.</summary>
    static float[][] Products(IBackend backend, Func<IBackend, Indices> made, PlanRule rule, bool accumulate)
    {
        var offsets = made(backend);
        Matrix Drawn(int rows, int columns, ulong stream)
        {
            var matrix = backend.Rent(rows, columns);
            backend.Write(matrix, [.. Enumerable.Range(0, rows * columns).Select(i => (float)(2 * Philox.UniformDouble(new(3, stream), (ulong)i) - 1))]);
            return matrix;
        }
        Matrix x = Drawn(rule.Rows, Depth, 1), w = Drawn(rule.Experts * Depth, Columns, 2), y = Drawn(rule.Rows, Columns, 3);
        Matrix forward = Drawn(rule.Rows, Columns, 4), back = Drawn(rule.Rows, Depth, 5), outer = Drawn(rule.Experts * Depth, Columns, 6);
        backend.GemmGrouped(x, w, false, forward, offsets, accumulate);
        backend.GemmGrouped(y, w, true, back, offsets, accumulate);
        backend.GemmGroupedOuter(x, y, outer, offsets, accumulate);
        return [backend.ToArray(forward), backend.ToArray(back), backend.ToArray(outer)];
    }
}
