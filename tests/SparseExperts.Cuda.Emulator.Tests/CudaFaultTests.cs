using Xunit;

namespace SparseExperts.Cuda.Emulator.Tests;

/// <summary>Small programs with one fault each, and what is said of it.</summary>
public class CudaFaultTests
{
    const string Prologue = """
        ld.param.u64 %rd1, [p0]; ld.param.u64 %rd2, [p1];
        mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mad.lo.s32 %r4, %r2, %r3, %r1;
        mul.wide.s32 %rd3, %r1, 4; add.s64 %rd4, %rd1, %rd3; mul.wide.s32 %rd5, %r4, 4; add.s64 %rd6, %rd2, %rd5;
        mul.lo.s32 %r5, %r1, 4; mov.u32 %r6, s; add.s32 %r6, %r6, %r5;
        """;

    /// <summary>%r7 is the address of the thread's number of two bytes in shared memory.</summary>
    const string Halves = "cvt.u16.u32 %rs1, %r1; shl.b32 %r7, %r1, 1; mov.u32 %r8, s; add.s32 %r7, %r7, %r8; ";

    /// <summary>
    /// Addresses: %rd4 element thread of the first array, %rd6 element block·threads + thread of the second, %r6 element thread of shared memory.
    /// </summary>
    static string Message(string body, int blocks = 1, int threads = 64, ThreadOrder order = ThreadOrder.Ascending, EmulatorOptions? options = null)
    {
        using var device = new Device((options ?? new()) with { Order = order });
        var kernel = device.Kernel("u64, u64", Prologue + "\n" + body, ".shared .align 4 .b8 s[1024];");
        var (x, y) = (device.Put(new int[64]), device.Allocate(128));
        return Assert.Throws<CudaFault>(() => device.Run(kernel, new(blocks, 1, 1, threads), x, y)).Message;
    }

    static void Fine(string body, int blocks = 1, int threads = 64)
    {
        foreach (var order in Enum.GetValues<ThreadOrder>())
        {
            using var device = new Device(new() { Order = order, Seed = 5 });
            var kernel = device.Kernel("u64, u64", Prologue + "\n" + body, ".shared .align 4 .b8 s[1024];");
            device.Run(kernel, new(blocks, 1, 1, threads), device.Put(new int[64]), device.Allocate(128));
        }
    }

    [Fact]
    public void Out_of_bounds_names_kernel_block_thread_and_line()
    {
        var message = Message("st.global.u32 [%rd6], %r1;", blocks: 3);
        Assert.Contains("kernel test, block (2, 0, 0), thread (0, 0), test.ptx line ", message);
        Assert.Contains("`st.global.u32 [%rd6], %r1;`", message);
        Assert.Contains("out of bounds: 4 bytes at 512", message);
    }

    [Theory]
    [InlineData("st.global.u32 [%rd4+-4], %r1;", "no address")]
    [InlineData("st.global.u32 [%rd4+2], %r1;", "misaligned")]
    [InlineData("ld.global.v4.u32 {%r7, %r8, %r9, %r10}, [%rd4];", "misaligned")]
    [InlineData("mov.u64 %rd7, 0; ld.global.u32 %r7, [%rd7];", "a null pointer")]
    [InlineData("mov.u64 %rd7, 140737353605120; ld.global.u32 %r7, [%rd7];", "no address of the device's memory")]
    [InlineData("ld.global.u32 %r7, [%rd6];", "reads word 0 of allocation 2 of 512 bytes, which was never written")]
    [InlineData("ld.shared.u32 %r7, [%r6];", "reads word 0 of shared array s, which was never written")]
    [InlineData("st.shared.u32 [%r6+1024], %r1;", "out of bounds: 4 bytes at 1024 of shared array s")]
    [InlineData("st.shared.u32 [s], %r1;", "a race: word 0 of shared array s was written by thread 0")]
    [InlineData("st.shared.u32 [%r6], %r1; xor.b32 %r7, %r6, 4; ld.shared.u32 %r8, [%r7];", "a race: word 1 of shared array s was written by thread 1")]
    [InlineData("st.shared.u32 [%r6], %r1; ld.shared.u32 %r8, [%r6+4];", "a race: word 1 of shared array s was written by thread 1")]
    [InlineData("setp.eq.s32 %p1, %r1, 0; @%p1 st.shared.u32 [s], %r1; ld.shared.u32 %r8, [s];", "a race: word 0 of shared array s was written by thread 0")]
    [InlineData(
        "shl.b32 %r7, %r5, 2; mov.u32 %r8, s; add.s32 %r7, %r7, %r8; st.shared.v4.u32 [%r7], {%r1, %r1, %r1, %r1};" +
        "ld.shared.v4.u32 {%r7, %r8, %r9, %r10}, [%r7+16];",
        "a race: word 4 of shared array s was written by thread 1")]
    [InlineData("st.global.u32 [%rd6], %r1; ld.global.nc.u32 %r7, [%rd6];", "read by ld.global.nc and written in the same launch")]
    [InlineData("cvt.u16.u32 %rs1, %r1; shr.u32 %r7, %r5, 2; mov.u32 %r8, s; add.s32 %r7, %r7, %r8; and.b32 %r7, %r7, -2; st.shared.u16 [%r7], %rs1;",
        "a race: word 0 of shared array s was written by thread 0")]
    [InlineData(Halves + "st.shared.u16 [%r7], %rs1; setp.eq.s32 %p1, %r1, 9; @%p1 ld.shared.u32 %r9, [s];", "was written by thread")]
    [InlineData(Halves + "setp.eq.s32 %p1, %r1, 9; @%p1 st.shared.u32 [s], %r1; st.shared.u16 [%r7], %rs1;", "was written by thread")]
    [InlineData(
        "setp.eq.s32 %p1, %r1, 0; @%p1 st.shared.u32 [s], %r1; bar.sync 0; ld.shared.u32 %r8, [s]; setp.eq.s32 %p2, %r1, 40; @%p2 st.shared.u32 [s], %r1;",
        "was read by another thread of the block with no barrier between")]
    [InlineData("setp.ge.s32 %p1, %r1, 40; @%p1 bra L; bar.sync 0; L: ret;", "a divergent barrier: thread 40 has ended")]
    [InlineData("setp.ge.s32 %p1, %r1, 40; @%p1 bra L; bar.sync 0; ret; L: bar.sync 0; ret;", "a divergent barrier: threads of warp 1 wait at another one")]
    [InlineData("setp.ge.s32 %p1, %r1, 20; @%p1 ret; shfl.sync.bfly.b32 %r7, %r1, 1, 31, -1;", "the mask names lane 20, which has ended")]
    [InlineData("setp.ge.s32 %p1, %r1, 20; @%p1 bra L; shfl.sync.bfly.b32 %r7, %r1, 1, 31, -1; L: bar.sync 0;",
        "the mask names lane 20, which never comes: it waits at line")]
    [InlineData("shfl.sync.bfly.b32 %r7, %r1, 1, 31, 0xffff;", "does not name the lane itself, 16")]
    [InlineData("setp.lt.s32 %p1, %r1, 8; @%p1 shfl.sync.idx.b32 %r7, %r1, 9, 31, 255;", "shuffles from lane 9, which takes no part")]
    [InlineData("mov.u32 %r7, 0; div.s32 %r8, %r1, %r7;", "an integer division by zero")]
    [InlineData("trap;", "a trap")]
    [InlineData("ld.global.nc.u32 %r7, [%rd4]; st.global.u32 [%rd4], %r7;", "read by ld.global.nc and written in the same launch")]
    public void Faults_of_a_thread(string body, string expected) => Assert.Contains(expected, Message(body));

    [Theory]
    [InlineData("st.global.u32 [%rd4], %r1;", "was written by another block of this launch (0)")]
    [InlineData("setp.eq.s32 %p1, %r2, 0; @%p1 ld.global.u32 %r7, [%rd4]; @!%p1 st.global.u32 [%rd4], %r1;", "was read by another block of this launch (0")]
    [InlineData("setp.eq.s32 %p1, %r2, 0; @!%p1 ld.global.u32 %r7, [%rd4]; @%p1 st.global.u32 [%rd4], %r1;", "was written by another block of this launch (0)")]
    public void Races_between_blocks(string body, string expected) => Assert.Contains(expected, Message(body, blocks: 2));

    [Fact]
    public void A_race_is_found_in_every_order()
    {
        const string body = "setp.lt.s32 %p1, %r1, 32; @%p1 st.shared.u32 [%r6], %r1; @!%p1 ld.shared.u32 %r7, [%r6+-128];";
        Assert.Contains("a race", Message(body));
        Assert.Contains("never written", Message(body, order: ThreadOrder.Descending));
        Assert.Contains("was read by another thread", Message(body, order: ThreadOrder.Descending, options: new() { Checks = EmulatorChecks.Races }));
    }

    [Theory]
    [InlineData("st.shared.u32 [%r6], %r1; bar.sync 0; xor.b32 %r7, %r6, 128; ld.shared.u32 %r8, [%r7]; bar.sync 0; st.shared.u32 [%r6], %r8;")]
    [InlineData("setp.ge.s32 %p1, %r1, 20; @%p1 bra L; add.s32 %r8, %r1, 1; L: shfl.sync.bfly.b32 %r7, %r1, 1, 31, -1; st.global.u32 [%rd6], %r7;")]
    [InlineData("setp.ge.s32 %p1, %r1, 16; @%p1 ret; shfl.sync.down.b32 %r7, %r1, 1, 4127, 65535;")]
    [InlineData("atom.global.add.u32 %r7, [%rd1], 1;")]
    [InlineData(Halves + "st.shared.u16 [%r7], %rs1; bar.sync 0; ld.shared.u32 %r9, [s]; ")]
    [InlineData("bar.sync 0; setp.lt.s32 %p1, %r1, 32; @%p1 ret; st.global.u32 [%rd6], %r1;")]
    public void What_is_ordered_is_no_fault(string body) => Fine(body);

    [Fact]
    public void A_loop_that_never_ends_is_found() =>
        Assert.Contains("more than 1000 instructions", Message("L: add.s32 %r1, %r1, 1; bra L;", options: new() { InstructionsPerThread = 1000 }));

    [Fact]
    public void Use_after_free_and_a_free_in_the_middle()
    {
        using var device = new Device();
        var (kernel, x) = (device.Kernel("u64", "ld.param.u64 %rd1, [p0]; ld.global.u32 %r1, [%rd1];"), device.Put(1, 2));
        Assert.Contains("4 bytes into", Assert.Throws<CudaFault>(() => device.Driver.Free(x + 4)).Message);
        device.Driver.Free(x);
        Assert.Contains("use after free of allocation 1", Assert.Throws<CudaFault>(() => device.Run(kernel, new(1, 1, 1, 1), x)).Message);
        Assert.Contains("use after free of allocation 1", Assert.Throws<CudaFault>(() => device.Put(1)).Message);
    }

    [Theory]
    [InlineData(1, 1, 1, 1025, 0, "1025×1 threads")]
    [InlineData(1, 65536, 1, 32, 0, "65536×1 blocks in y and z")]
    [InlineData(0, 1, 1, 32, 0, "0×1×1 blocks")]
    [InlineData(1, 1, 1, 32, 48129, "1024 + 48129 bytes of shared memory")]
    public void Launches_beyond_the_limits(int x, int y, int z, int threads, int shared, string message)
    {
        using var device = new Device();
        var kernel = device.Kernel("u32", "mov.u32 %r1, s;", ".shared .align 4 .b8 s[1024];");
        Assert.Contains(message, Assert.Throws<CudaFault>(() => device.Run(kernel, new(x, y, z, threads, 1, shared), 1)).Message);
    }

    [Fact]
    public void Arguments_that_do_not_fit()
    {
        using var device = new Device();
        var kernel = device.Kernel("u64, u32, f32", "");
        void Wrong(string message, params KernelArgument[] arguments) =>
            Assert.Contains(message, Assert.Throws<CudaFault>(() => device.Run(kernel, new(1, 1, 1, 1), arguments)).Message);
        Wrong("2 arguments for 3 parameters", 1L, 1);
        Wrong("argument 0 is Int32, but the parameter is .u64", 1, 1, 1f);
        Wrong("argument 1 is Int64, but the parameter is .u32", 1L, 1L, 1f);
        Wrong("argument 2 is Int32, but the parameter is .f32", 1L, 1, 1);
        Wrong("argument 1 is Float32, but the parameter is .u32", 1L, 1f, 1f);
        device.Run(kernel, new(1, 1, 1, 1), default(DevicePointer), true, 1f);
    }
}
