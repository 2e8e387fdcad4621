using Xunit;

namespace SparseExperts.Cuda.Emulator.Tests;

/// <summary>Small programs: state spaces, votes, shuffles, atomics, orders and workers.</summary>
public class CudaProgramTests
{
    const string Thread = """
        ld.param.u64 %rd1, [p0]; mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mad.lo.s32 %r4, %r2, %r3, %r1;
        mul.wide.s32 %rd2, %r4, 4; add.s64 %rd2, %rd1, %rd2;
        """;

    const string Count = ".global .align 4 .u32 count[1] = {0};";
    const string Store = "st.global.u32 [%rd2], %r10;";

    static int[] Run(string body, string before = "", int blocks = 1, int threads = 64, int shared = 0, EmulatorOptions? options = null)
    {
        using var device = new Device(options);
        var (kernel, y) = (device.Kernel("u64", Thread + "\n" + body + "\n" + Store, before), device.Allocate(blocks * threads));
        device.Run(kernel, new(blocks, 1, 1, threads, 1, shared), y);
        return device.Get<int>(y, blocks * threads);
    }

    static int[] Of(Func<int, int> f, int count = 64) => [.. Enumerable.Range(0, count).Select(f)];

    [Fact]
    public void Arrays_of_the_module_have_their_values() => Assert.Equal(
        Of(i => (i % 4) switch { 0 => 10, 1 => -20, 2 => 30, _ => 1000 + i }),
        Run("""
            and.b32 %r5, %r1, 3; mul.wide.s32 %rd3, %r5, 4; mov.u64 %rd4, table; add.s64 %rd3, %rd3, %rd4; setp.eq.s32 %p1, %r5, 3;
            @!%p1 ld.global.u32 %r10, [%rd3]; @%p1 ld.const.u32 %r10, [thousand+4]; @%p1 add.s32 %r10, %r10, %r1;
            """, ".global .align 4 .u32 table[4] = {10, -20, 30};\n.const .align 4 .b8 thousand[8] = {0, 0, 0, 0, 232, 3, 0, 0};"));

    [Fact]
    public void Shared_memory_of_the_launch_and_generic_addresses() => Assert.Equal(
        Of(i => i ^ 33),
        Run("""
            mov.u64 %rd3, many; cvta.shared.u64 %rd3, %rd3; mul.wide.s32 %rd4, %r1, 4; add.s64 %rd4, %rd3, %rd4; st.u32 [%rd4], %r1; bar.sync 0;
            xor.b32 %r5, %r1, 33; shl.b32 %r5, %r5, 2; mov.u32 %r6, many; add.s32 %r6, %r6, %r5; ld.shared.u32 %r10, [%r6];
            """, ".extern .shared .align 16 .b8 many[];", shared: 256));

    [Fact]
    public void Every_thread_has_its_own_local_memory() => Assert.Equal(
        Of(i => 3 * i),
        Run("""
            .local .align 8 .b8 depot[16];
            mov.u64 %rd3, depot; cvta.local.u64 %rd4, %rd3; st.local.u32 [%rd3+12], %r1; bar.sync 0; ld.u32 %r5, [%rd4+12]; mul.lo.s32 %r10, %r5, 3;
            """));

    [Fact]
    public void Local_memory_has_bounds() => Assert.Contains("out of bounds: 4 bytes at 16 of local memory, which has 16", Assert.Throws<CudaFault>(() =>
        Run(".local .align 8 .b8 depot[16]; mov.u64 %rd3, depot; st.local.u32 [%rd3+16], %r1;")).Message);

    [Fact]
    public void Vectors_of_four() => Assert.Equal(
        Of(i => 4 * (i / 4) + 3 - i % 4),
        Run("""
            .shared .align 16 .b8 quads[1024];
            mov.u32 %r5, quads; shl.b32 %r6, %r1, 4; add.s32 %r5, %r5, %r6; add.s32 %r6, %r1, 1; st.shared.v4.u32 [%r5], {%r1, %r1, %r6, %r6};
            ld.shared.v4.u32 {%r7, _, %r8, _}, [%r5]; sub.s32 %r9, %r8, %r7;
            and.b32 %r10, %r1, 3; shl.b32 %r10, %r10, 1; sub.s32 %r10, 3, %r10; mad.lo.s32 %r10, %r10, %r9, %r7;
            """));

    [Theory]
    [InlineData("bfly", 5, 31)]
    [InlineData("bfly", 8, 4127)]
    [InlineData("up", 3, 0)]
    [InlineData("down", 4, 31)]
    [InlineData("idx", 7, 31)]
    [InlineData("idx", 7, 4127)]
    public void Shuffles(string mode, int by, int clamp) => Assert.Equal(
        Of(i =>
        {
            var (lane, half) = (i % 32, clamp > 31);
            var from = mode switch { "bfly" => lane ^ by, "up" => lane - by, "down" => lane + by, _ => half ? (lane & 16) | by : by };
            var inside = from is >= 0 and < 32;
            return (inside ? i - lane + from : i) + (inside ? 1000 : 0);
        }),
        Run($"shfl.sync.{mode}.b32 %r10|%p1, %r1, {by}, {clamp}, -1; @%p1 add.s32 %r10, %r10, 1000;"));

    [Fact]
    public void Votes_count_the_lanes_that_are_named() => Assert.Equal(
        Of(i => i < 32 ? (i >= 16 ? 100 : 200) + 3 : 100 + 3, 48),
        Run("""
            setp.ge.s32 %p1, %r1, 16; setp.lt.s32 %p2, %r1, 32; mov.u32 %r5, -1; @!%p2 mov.u32 %r5, 65535;
            vote.sync.any.pred %p3, %p1, %r5; selp.u32 %r10, 3, 4, %p3; vote.sync.all.pred %p4, %p1, %r5; @%p4 add.s32 %r10, %r10, 100; @%p4 bra DONE;
            vote.sync.ballot.b32 %r6, %p1, %r5; setp.eq.s32 %p5, %r6, -65536; @%p5 add.s32 %r10, %r10, 100; @%p1 bra DONE; add.s32 %r10, %r10, 100; DONE:
            """, threads: 48));

    [Fact]
    public void Lanes_find_together_after_a_branch() => Assert.Equal(
        Of(i => (i % 2 == 0 ? 10 : 20) + (i ^ 1)),
        Run("""
            and.b32 %r5, %r1, 1; setp.eq.s32 %p1, %r5, 0; @%p1 bra EVEN; mov.u32 %r6, 20; bra.uni BOTH; EVEN: mov.u32 %r6, 10; BOTH:
            shfl.sync.bfly.b32 %r7, %r1, 1, 31, -1; add.s32 %r10, %r6, %r7;
            """));

    [Fact]
    public void Loops_end_lane_by_lane() => Assert.Equal(
        Of(i => i * (i + 1) / 2),
        Run("mov.u32 %r10, 0; mov.u32 %r5, 0; L: add.s32 %r10, %r10, %r5; add.s32 %r5, %r5, 1; setp.le.s32 %p1, %r5, %r1; @%p1 bra L;"));

    [Theory]
    [InlineData(ThreadOrder.Ascending)]
    [InlineData(ThreadOrder.Descending)]
    [InlineData(ThreadOrder.Drawn)]
    public void Atomics_draw_numbers_in_the_order_of_turns(ThreadOrder order)
    {
        var drawn = Run("atom.global.add.u32 %r10, [count], 1;", Count, blocks: 2, options: new() { Order = order, Seed = 1 });
        Assert.Equal(Of(i => i, 128), drawn.Order());
        if (order == ThreadOrder.Ascending) Assert.Equal(Of(i => i, 128), drawn);
        if (order == ThreadOrder.Descending) Assert.Equal(Of(i => 127 - i, 128), drawn);
    }

    [Theory]
    [InlineData("atom.global.max.s32 %r10, [count], %r1;", 63)]
    [InlineData("red.global.or.b32 [count], %r1; mov.u32 %r10, 0;", 63)]
    [InlineData("atom.global.cas.b32 %r10, [count], %r1, 5;", 5)]
    [InlineData("atom.global.exch.b32 %r10, [count], %r1;", 63)]
    public void Atomics(string body, int expected) =>
        Assert.Equal(expected, Run(body + " bar.sync 0; setp.eq.s32 %p1, %r1, 0; @%p1 ld.global.u32 %r10, [count];", Count)[0]);

    [Fact]
    public void Workers_share_the_blocks()
    {
        var options = new EmulatorOptions { Checks = EmulatorChecks.Unwritten, Workers = 3 };
        Assert.Equal(Of(i => i / 64, 640), Run("mov.u32 %r10, %r2;", blocks: 10, options: options));
        Assert.Contains("block (", Assert.Throws<CudaFault>(() => Run("ld.global.u32 %r10, [%rd2];", blocks: 10, options: options)).Message);
    }
}
