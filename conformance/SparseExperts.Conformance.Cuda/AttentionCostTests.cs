using SparseExperts.Autograd;
using SparseExperts.Cuda;
using SparseExperts.Ops;
using SparseExperts.Profiling;
using Xunit;
using Xunit.Abstractions;

namespace SparseExperts.Conformance.Cuda;

/// <summary>What attention launches and keeps, on a device that computes nothing.</summary>
public sealed class AttentionCostTests(ITestOutputHelper output)
{
    /// <summary>
    /// Kernels of a forward and a backward pass, the bytes that are live between them and the most that are live at once, the backend's own scratch memory
    /// left out.
    /// </summary>
    sealed record Cost(string[] Forward, string[] Backward, long Kept, long Most);

    static Cost Of(int sequences, int length, bool hasBias = false)
    {
        using var driver = new SilentDriver();
        using var backend = new CountingBackend(new CudaBackend(driver));
        using var tape = new Tape(backend);
        var shape = AttentionShape.OfSelf(sequences, length, 8, 64, 0.125, true);
        var tables = RotaryTables.Create(backend, length, 64);
        var qkv = tape.Input(tape.Rent(shape.QueryRows, 3 * shape.Width), length);
        var bias = hasBias ? tape.Input(tape.Rent(shape.Heads * length, length)) : null;
        List<string> launches = [];
        driver.Launched = launches.Add;
        var before = backend.LiveBytes;
        var y = tape.SelfAttention(shape, qkv, tables, bias);
        string[] forward = [.. launches];
        var kept = backend.LiveBytes - before;
        launches.Clear();
        var slope = tape.Rent(y.Rows, y.Columns);
        tape.Backward((y, slope));
        return new(forward, [.. launches.Where(kernel => kernel is not ("fill" or "copy"))], kept, backend.PeakBytes - before);
    }

    [Fact]
    public void A_forward_pass_is_one_launch_and_a_backward_pass_two_beside_the_rotation()
    {
        var cost = Of(8, 512);
        output.WriteLine($"8 × 512 tokens, 8 heads of 64: {string.Join(' ', cost.Forward)} | {string.Join(' ', cost.Backward)}");
        output.WriteLine($"{cost.Kept / 1048576.0:0.00} MiB kept, {cost.Most / 1048576.0:0.00} MiB at most");
        Assert.Equal(["rotary", "attention_64"], cost.Forward);
        Assert.Equal(["attention_queries_64", "attention_keys_64", "rotary"], cost.Backward);
        Assert.Equal("attention_biases", Of(8, 512, hasBias: true).Backward[2]);
    }

    /// <summary>So many tokens cost as much in long sequences as in short ones.</summary>
    [Fact]
    public void Memory_grows_with_tokens_and_not_with_scores()
    {
        Cost lengthy = Of(8, 512), brief = Of(64, 64);
        Assert.Equal((brief.Kept, brief.Most), (lengthy.Kept, lengthy.Most));
    }

    /// <summary>
    /// Scores of a call that are many times the bound go in steps: what a call asks of the device is 1/256 of it, of which blocks that are powers of two may
    /// take the double, and a number a query.
    /// </summary>
    [Fact]
    public void Scratch_memory_does_not_grow_with_scores()
    {
        using var driver = new SilentDriver();
        using var backend = new CudaBackend(driver);
        var shape = AttentionShape.OfSelf(64, 2048, 8, 64, 0.125, true);
        Matrix[] rows = [.. Enumerable.Range(0, 8).Select(_ => backend.Rent(shape.QueryRows, shape.Width))];
        var (saved, two) = backend.AttentionSaved(shape);
        var kept = backend.Rent(saved, two);
        List<string> launches = [];
        driver.Launched = launches.Add;
        long bound = driver.Device.TotalBytes / 256, scores = 4L * shape.ScoreRows * shape.Keys, before = driver.Allocated;
        backend.Attention(shape, rows[0], rows[1], rows[2], default, kept, rows[3]);
        backend.AttentionBackward(shape, rows[0], rows[1], rows[2], default, kept, rows[3], rows[4], rows[5], false, rows[6], false, rows[7], false,
            null, null);
        output.WriteLine($"{scores / 1048576} MiB of scores, {(driver.Allocated - before) / 1048576} MiB asked for in {launches.Count} launches");
        Assert.True(scores > 10 * bound);
        Assert.InRange(driver.Allocated - before, 0, 2 * (2 * bound + 4L * shape.ScoreRows));          // forward and backward, each within its bound
        Assert.InRange(launches.Count(kernel => kernel == "attention_queries_64"), 2L * scores / bound, 2L * scores / bound + 2);
    }
}
