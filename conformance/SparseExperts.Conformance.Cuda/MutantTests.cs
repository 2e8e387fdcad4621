using SparseExperts.Conformance.Mutants;
using SparseExperts.Cuda;
using SparseExperts.Cuda.Emulator;
using Xunit;
using Xunit.Abstractions;

namespace SparseExperts.Conformance.Cuda;

/// <summary>
/// A test of the tests: one instruction of every kernel changed at a time (<c>bench -- mutants</c> takes more of them and lists who survives).
/// </summary>
public sealed class MutantTests(ITestOutputHelper output)
{
    const double Demanded = 0.85;

    [Fact]
    public void A_change_of_one_instruction_is_seen()
    {
        var cases = new KernelCases(every: 12, []);
        var results = MutantRun.Draw([], perKernel: 1, seed: 1).Select(m => MutantRun.Run(m, cases)).ToArray();
        foreach (var survivor in results.Where(r => r.Killed is null)) output.WriteLine($"survived {survivor.Cases} cases: {survivor.Mutant}");
        var killed = results.Count(r => r.Killed is not null);
        output.WriteLine($"{killed} of {results.Length} killed");
        Assert.True(killed >= Demanded * results.Length, $"{killed} of {results.Length} killed");
        Assert.True(results.Length > 70);
    }

    /// <summary>A read that does not wait for the work before it.</summary>
    [Fact]
    public void A_wait_that_is_left_out_is_seen()
    {
        using var backend = new CudaBackend(new Impatient(new EmulatedDriver()));
        var card = OpCards.Named("Add");
        Assert.NotNull(new KernelCase(card, card.Large.First(), 1).Fault(backend));
    }

    /// <summary>A launch that never reaches the device.</summary>
    [Fact]
    public void A_launch_that_is_left_out_is_seen()
    {
        using var backend = new CudaBackend(new Forgetful(new EmulatedDriver()));
        foreach (var card in (OpCard[])[OpCards.Named("Add"), OpCards.Named("Softmax"), OpCards.Named("Gemm A·B")])
            Assert.NotNull(new KernelCase(card, card.Large.First(), 1).Fault(backend));
    }

    sealed class Impatient(ICudaDriver inner) : DelegatingDriver(inner)
    {
        CudaStream? _other;

        public override void CopyToHost(Span<byte> to, DevicePointer from, CudaStream stream) => base.CopyToHost(to, from, _other ??= CreateStream());
    }

    sealed class Forgetful(ICudaDriver inner) : DelegatingDriver(inner)
    {
        public override void Launch(CudaFunction function, in LaunchShape shape, ReadOnlySpan<KernelArgument> arguments, CudaStream stream) { }
    }
}
