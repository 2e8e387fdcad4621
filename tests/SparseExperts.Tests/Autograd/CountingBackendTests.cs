using SparseExperts.Autograd;
using SparseExperts.Cpu;
using SparseExperts.Profiling;
using SparseExperts.Scalar;
using Xunit;

namespace SparseExperts.Tests.Autograd;

public sealed class CountingBackendTests
{
    /// <summary>An op with a body in the contract would go past a counter that does not have it.</summary>
    [Fact]
    public void No_method_of_the_contract_goes_past_the_counter()
    {
        foreach (var contract in typeof(IBackend).GetInterfaces().Append(typeof(IBackend)).Append(typeof(IErrorBounds)))
        {
            var map = typeof(CountingBackend).GetInterfaceMap(contract);
            for (var i = 0; i < map.TargetMethods.Length; i++)
                Assert.True(!map.InterfaceMethods[i].IsPublic ||      // a default body, which the counter's own method replaces
                    map.TargetMethods[i].DeclaringType == typeof(CountingBackend),
                    $"CountingBackend lets {contract.Name}.{map.InterfaceMethods[i].Name} past; count it there");
        }
    }

    [Fact]
    public void Every_op_is_counted_under_its_own_name_and_computes_what_it_did()
    {
        using var plain = new ScalarBackend<Float32>();
        using var counting = new CountingBackend(new ScalarBackend<Float32>(), waits: true);
        foreach (var card in OpCards.All)
            foreach (var seed in Enumerable.Range(0, 3))
            {
                var sample = card.Sample(new Random(seed), 4);
                OpResult expected = OpRunner.Run(plain, card, sample), found = OpRunner.Run(counting, card, sample);
                Assert.Equal(expected.Values, found.Values);
            }
        var methods = typeof(IBackend).GetInterfaces().Where(f => f != typeof(IDisposable)).SelectMany(f => f.GetMethods());
        var ops = methods.Where(m => m.ReturnType == typeof(void)).Select(m => m.Name);
        string[] own = [nameof(IBackend.Fill), nameof(IBackend.Copy), nameof(IBackend.Read), nameof(IBackend.Write), nameof(IBackend.TakeFault)];
        Assert.Subset(counting.Calls.Keys.Select(k => k.Kernel).ToHashSet(), ops.Concat(own).ToHashSet());
        Assert.All(counting.Calls, c => Assert.True(c.Value.Calls > 0));
    }

    /// <summary>A device answers it when all its work is done.</summary>
    [Fact]
    public void The_question_for_faults_is_counted_where_it_is_asked()
    {
        using var backend = new CountingBackend(new CpuBackend(1));
        Assert.Null(backend.TakeFault());
        Assert.Equal(1, backend.Calls[new("TakeFault", "", "", Activity.Forward)].Calls);
    }

    [Fact]
    public void Bytes_rents_and_peaks_are_counted()
    {
        using var backend = new CountingBackend(new CpuBackend(1));
        Matrix a = backend.Rent(3, 4), b = backend.Rent(4, 5), c = backend.Rent(3, 5);
        foreach (var m in (Matrix[])[a, b, c]) backend.Fill(m, 1);
        backend.Gemm(a, false, b, false, c, false);
        backend.Gemm(a, false, b, false, c, true);
        var gemm = backend.Calls[new("Gemm", "", "", Activity.Forward)];
        Assert.Equal((2, 4 * (2 * (12 + 20) + 15), 4 * 2 * 15), (gemm.Calls, gemm.BytesRead, gemm.BytesWritten));
        Assert.Equal((3, 4 * (12 + 20 + 15)), (backend.Rents, backend.LiveBytes));
        backend.Return(b.Storage);
        Assert.Equal((4 * (12 + 15), 4 * (12 + 20 + 15)), (backend.LiveBytes, backend.PeakBytes));
        backend.Clear();
        Assert.Equal((0, 4 * (12 + 15)), (backend.Rents, backend.PeakBytes));
        Assert.Empty(backend.Calls);
    }

    [Fact]
    public void Numbers_of_two_bytes_count_as_such()
    {
        using var backend = new CountingBackend(new CpuBackend(1));
        Matrix x = backend.Rent(3, 4), y = backend.Rent(3, 4, ElementType.BFloat16);
        Assert.Equal(12 * (4 + 2), backend.LiveBytes);
        backend.Write(x, new float[12]);
        backend.Cast(x, y);
        backend.ToArray(y);
        CallTotals Of(string kernel) => backend.Calls[new(kernel, "", "", Activity.Forward)];
        Assert.Equal((12 * 4, 12 * 2), (Of("Cast").BytesRead, Of("Cast").BytesWritten));
        Assert.Equal((12 * 4, 12 * 2), (Of("Write").BytesWritten, Of("Read").BytesRead));
        backend.Return(y.Storage);
        Assert.Equal(12 * 4, backend.LiveBytes);
    }
}
