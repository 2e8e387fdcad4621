using Xunit;

namespace SparseExperts.Cuda.Emulator.Tests;

/// <summary>Single instructions against the same in C#, over values at the edges of their types.</summary>
public class CudaInstructionTests
{
    static readonly float[] Floats =
    [
        0f, -0f, 1f, -1f, 0.5f, 1.5f, 2.5f, -2.5f, 1e-45f, -1e-40f, 1.17549435e-38f, 3.4028235e38f, -3.4028235e38f,
        float.PositiveInfinity, float.NegativeInfinity, float.NaN,
        3.14159274f, 1e10f, -1e10f, 2147483648f, 4294967296f, 16777217f, 0.1f, -0.3f, 1.0000001f, 7f,
    ];

    static readonly ulong[] FloatBits = [.. Floats.Select(f => (ulong)BitConverter.SingleToUInt32Bits(f))];

    static readonly uint[] Words =
    [
        0, 1, 2, 3, 7, 31, 32, 33, 64, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff,
        0x12345678, 0xdeadbeef,
    ];

    static readonly ulong[] Longs =
    [
        0, 1, 2, 31, 63, 64, 65, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0x8000000000000001,
        0xffffffffffffffff, 0x123456789abcdef0,
    ];

    /// <summary>Runs an instruction on all triples of values; a, b and c are its operands and d its result.</summary>
    static ulong[] Run(string instruction, string type, string resultType, ulong[] a, ulong[] b, ulong[] c)
    {
        using var device = new Device(new() { Order = ThreadOrder.Drawn });
        var (from, to) = (Register(type), Register(resultType));
        string Load(string register, int p) => $"ld.param.u64 %rd1, [p{p}]; add.s64 %rd1, %rd1, %rd3; ld.global.{type} {register}, [%rd1];";
        var (load, store) = (type[1..] == "64" ? 8 : 4, resultType[1..] == "64" ? 8 : 4);
        var body = $"""
            mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mov.u32 %r3, %tid.x; mad.lo.s32 %r1, %r1, %r2, %r3;
            setp.ge.s32 %p1, %r1, {a.Length};
            @%p1 bra END;
            mul.wide.s32 %rd3, %r1, {load}; mul.wide.s32 %rd4, %r1, {store};
            {Load(from + "5", 0)} {Load(from + "6", 1)} {Load(from + "7", 2)}
            {instruction.Replace("$d", to + "8").Replace("$a", from + "5").Replace("$b", from + "6").Replace("$c", from + "7")}
            ld.param.u64 %rd2, [p3]; add.s64 %rd2, %rd2, %rd4; st.global.{resultType} [%rd2], {to}8;
            END:
            """;
        var kernel = device.Kernel("u64, u64, u64, u64", body);
        DevicePointer Operand(ulong[] values) => load == 8 ? device.Put(values) : device.Put(Array.ConvertAll(values, v => (uint)v));
        var result = device.Allocate(a.Length * store / 4);
        device.Run(kernel, new((a.Length + 95) / 96, 1, 1, 96), Operand(a), Operand(b), Operand(c), result);
        return store == 8 ? device.Get<ulong>(result, a.Length) : Array.ConvertAll(device.Get<uint>(result, a.Length), v => (ulong)v);
    }

    static string Register(string type) => type switch { "f32" => "%f", "f64" => "%fd", _ => type[1..] switch { "64" => "%rd", "32" => "%r", _ => "%rs" } };

    static void Same(string instruction, string type, string resultType, ulong[] values, Func<ulong, ulong, ulong, ulong?> expected, bool third = false)
    {
        var triples = (from x in values
                       from y in values
                       from z in third ? values : values[3..4]
                       where expected(x, y, z) is not null
                       select (x, y, z)).ToArray();
        var got = Run(instruction, type, resultType, [.. triples.Select(t => t.x)], [.. triples.Select(t => t.y)], [.. triples.Select(t => t.z)]);
        for (var i = 0; i < got.Length; i++)
        {
            var (x, y, z) = triples[i];
            Assert.True(expected(x, y, z) == got[i], $"{instruction} of 0x{x:x}, 0x{y:x}, 0x{z:x}: 0x{got[i]:x} instead of 0x{expected(x, y, z):x}");
        }
    }

    static void Single(string instruction, Func<float, float, float, float> expected, bool third = false) =>
        Same(instruction, "f32", "f32", FloatBits, (x, y, z) => Bits(expected(F(x), F(y), F(z))), third);

    static ulong Bits(float value) => float.IsNaN(value) ? 0x7fffffff : BitConverter.SingleToUInt32Bits(value);
    static float F(ulong bits) => BitConverter.UInt32BitsToSingle((uint)bits);
    static ulong[] Wide(uint[] words) => Array.ConvertAll(words, w => (ulong)w);

    [Fact]
    public void Float_arithmetic_rounds_once()
    {
        Single("add.rn.f32 $d, $a, $b;", (a, b, _) => a + b);
        Single("sub.rn.f32 $d, $a, $b;", (a, b, _) => a - b);
        Single("mul.rn.f32 $d, $a, $b;", (a, b, _) => a * b);
        Single("div.rn.f32 $d, $a, $b;", (a, b, _) => a / b);
        Single("fma.rn.f32 $d, $a, $b, $c;", MathF.FusedMultiplyAdd, true);
        Single("sqrt.rn.f32 $d, $a;", (a, _, _) => MathF.Sqrt(a));
        Single("rcp.rn.f32 $d, $a;", (a, _, _) => 1 / a);
    }

    [Fact]
    public void The_smaller_and_the_larger_is_the_one_that_is_a_number()
    {
        Single("min.f32 $d, $a, $b;", (a, b, _) => float.MinNumber(a, b));
        Single("max.f32 $d, $a, $b;", (a, b, _) => float.MaxNumber(a, b));
    }

    [Fact]
    public void Signs_of_floats_are_bits()
    {
        var values = FloatBits;
        Same("neg.f32 $d, $a;", "f32", "f32", values, (a, _, _) => a ^ 0x80000000);
        Same("abs.f32 $d, $a;", "f32", "f32", values, (a, _, _) => a & 0x7fffffff);
        Same("copysign.f32 $d, $a, $b;", "f32", "f32", values, (a, b, _) => (a & 0x80000000) | (b & 0x7fffffff));
    }

    [Theory]
    [InlineData("eq")]
    [InlineData("ne")]
    [InlineData("lt")]
    [InlineData("le")]
    [InlineData("gt")]
    [InlineData("ge")]
    [InlineData("equ")]
    [InlineData("neu")]
    [InlineData("ltu")]
    [InlineData("leu")]
    [InlineData("gtu")]
    [InlineData("geu")]
    [InlineData("num")]
    [InlineData("nan")]
    public void Floats_compare(string comparison)
    {
        bool Expected(float a, float b)
        {
            var nan = float.IsNaN(a) || float.IsNaN(b);
            return comparison switch
            {
                "num" => !nan,
                "nan" => nan,
                "ne" => !nan && a != b,
                "eq" => a == b,
                "lt" => a < b,
                "le" => a <= b,
                "gt" => a > b,
                "ge" => a >= b,
                "equ" => nan || a == b,
                "neu" => a != b,
                "ltu" => nan || a < b,
                "leu" => nan || a <= b,
                "gtu" => nan || a > b,
                _ => nan || a >= b,
            };
        }

        var values = FloatBits;
        Same($"setp.{comparison}.f32 %p5|%p6, $a, $b; selp.u32 $d, 1, 0, %p5; @%p6 add.u32 $d, $d, 2;", "f32", "u32", values,
            (a, b, _) => Expected(F(a), F(b)) ? 1u : 2);
        Same($"setp.{comparison}.and.f32 %p5, $a, $b, %p1; selp.u32 $d, 1, 0, %p5;", "f32", "u32", values, (a, b, _) => 0);
    }

    [Fact]
    public void Integers_of_32_bits()
    {
        var words = Wide(Words);
        void S(string instruction, Func<int, int, int, int?> f) =>
            Same(instruction, "u32", "u32", words, (a, b, c) => (uint?)f((int)a, (int)b, (int)c), instruction.Contains("$c"));
        void U(string instruction, Func<uint, uint, uint, uint?> f) =>
            Same(instruction, "u32", "u32", words, (a, b, c) => f((uint)a, (uint)b, (uint)c), instruction.Contains("$c"));
        S("add.s32 $d, $a, $b;", (a, b, _) => a + b);
        S("sub.s32 $d, $a, $b;", (a, b, _) => a - b);
        S("mul.lo.s32 $d, $a, $b;", (a, b, _) => a * b);
        S("mul.hi.s32 $d, $a, $b;", (a, b, _) => (int)((long)a * b >> 32));
        U("mul.hi.u32 $d, $a, $b;", (a, b, _) => (uint)((ulong)a * b >> 32));
        S("mad.lo.s32 $d, $a, $b, $c;", (a, b, c) => a * b + c);
        S("div.s32 $d, $a, $b;", (a, b, _) => b == 0 ? null : (int)((long)a / b));
        S("rem.s32 $d, $a, $b;", (a, b, _) => b == 0 ? null : (int)((long)a % b));
        U("div.u32 $d, $a, $b;", (a, b, _) => b == 0 ? null : a / b);
        U("rem.u32 $d, $a, $b;", (a, b, _) => b == 0 ? null : a % b);
        S("min.s32 $d, $a, $b;", (a, b, _) => Math.Min(a, b));
        S("max.s32 $d, $a, $b;", (a, b, _) => Math.Max(a, b));
        U("min.u32 $d, $a, $b;", (a, b, _) => Math.Min(a, b));
        U("max.u32 $d, $a, $b;", (a, b, _) => Math.Max(a, b));
        S("neg.s32 $d, $a;", (a, _, _) => -a);
        S("abs.s32 $d, $a;", (a, _, _) => a < 0 ? -a : a);
        U("shl.b32 $d, $a, $b;", (a, b, _) => b > 31 ? 0 : a << (int)b);
        U("shr.u32 $d, $a, $b;", (a, b, _) => b > 31 ? 0 : a >> (int)b);
        S("shr.s32 $d, $a, $b;", (a, b, _) => a >> (int)Math.Min((uint)b, 31));
        U("shl.b32 $d, $a, 5;", (a, _, _) => a << 5);
        S("shr.s32 $d, $a, 7;", (a, _, _) => a >> 7);
        U("and.b32 $d, $a, $b;", (a, b, _) => a & b);
        U("or.b32 $d, $a, $b;", (a, b, _) => a | b);
        U("xor.b32 $d, $a, $b;", (a, b, _) => a ^ b);
        U("not.b32 $d, $a;", (a, _, _) => ~a);
        U("popc.b32 $d, $a;", (a, _, _) => (uint)System.Numerics.BitOperations.PopCount(a));
        U("clz.b32 $d, $a;", (a, _, _) => (uint)System.Numerics.BitOperations.LeadingZeroCount(a));
        U("brev.b32 $d, $a;", (a, _, _) => Enumerable.Range(0, 32).Aggregate(0u, (r, i) => r | (a >> i & 1) << (31 - i)));
        U("shf.l.wrap.b32 $d, $a, $b, $c;", (a, b, c) => (uint)(((ulong)b << 32 | a) << (int)(c & 31) >> 32));
        U("shf.r.clamp.b32 $d, $a, $b, $c;", (a, b, c) => (uint)(((ulong)b << 32 | a) >> (int)Math.Min(c, 32)));
        U("bfe.u32 $d, $a, 8, 12;", (a, _, _) => a >> 8 & 0xfff);
        S("bfe.s32 $d, $a, 8, 12;", (a, _, _) => a << 12 >> 20);
        U("bfi.b32 $d, $a, $b, 8, 12;", (a, b, _) => (a & 0xfff) << 8 | (b & 0xfff000ff));
        U("prmt.b32 $d, $a, $b, 0x3715;", (a, b, _) => (b >> 8 & 255) | (a >> 8 & 255) << 8 | (b >> 24) << 16 | (a >> 24) << 24);
    }

    [Fact]
    public void Integers_of_64_bits()
    {
        void S(string instruction, Func<long, long, long, long?> f) =>
            Same(instruction, "u64", "u64", Longs, (a, b, c) => (ulong?)f((long)a, (long)b, (long)c), instruction.Contains("$c"));
        void U(string instruction, Func<ulong, ulong, ulong, ulong?> f) => Same(instruction, "u64", "u64", Longs, f, instruction.Contains("$c"));
        S("add.s64 $d, $a, $b;", (a, b, _) => a + b);
        S("sub.s64 $d, $a, $b;", (a, b, _) => a - b);
        S("mul.lo.s64 $d, $a, $b;", (a, b, _) => a * b);
        S("mad.lo.s64 $d, $a, $b, $c;", (a, b, c) => a * b + c);
        S("div.s64 $d, $a, $b;", (a, b, _) => b == 0 ? null : b == -1 ? -a : a / b);
        S("rem.s64 $d, $a, $b;", (a, b, _) => b == 0 ? null : b == -1 ? 0 : a % b);
        U("div.u64 $d, $a, $b;", (a, b, _) => b == 0 ? null : a / b);
        U("rem.u64 $d, $a, $b;", (a, b, _) => b == 0 ? null : a % b);
        S("min.s64 $d, $a, $b;", (a, b, _) => Math.Min(a, b));
        U("max.u64 $d, $a, $b;", (a, b, _) => Math.Max(a, b));
        S("neg.s64 $d, $a;", (a, _, _) => -a);
        U("mul.hi.u64 $d, $a, $b;", (a, b, _) => Math.BigMul(a, b, out _));
        U("and.b64 $d, $a, $b;", (a, b, _) => a & b);
        U("not.b64 $d, $a;", (a, _, _) => ~a);
        U("shl.b64 $d, $a, 9;", (a, _, _) => a << 9);
        S("shr.s64 $d, $a, 9;", (a, _, _) => a >> 9);
        S("setp.lt.s64 %p5, $a, $b; selp.b64 $d, $a, $b, %p5;", (a, b, _) => a < b ? a : b);
        U("setp.hi.u64 %p5, $a, $b; selp.b64 $d, $a, $b, %p5;", (a, b, _) => a > b ? a : b);
        U("mov.b64 {%r10, %r11}, $a; mov.b64 $d, {%r11, %r10};", (a, _, _) => a << 32 | a >> 32);
    }

    [Fact]
    public void Widening_products_and_conversions_of_integers()
    {
        void W(string instruction, Func<uint, uint, ulong> f) => Same(instruction, "u32", "u64", Wide(Words), (a, b, _) => f((uint)a, (uint)b));
        W("mul.wide.s32 $d, $a, $b;", (a, b) => (ulong)((long)(int)a * (int)b));
        W("mul.wide.u32 $d, $a, $b;", (a, b) => (ulong)a * b);
        W("mov.u64 $d, 5; mad.wide.s32 $d, $a, $b, $d;", (a, b) => (ulong)((long)(int)a * (int)b + 5));
        W("cvt.s64.s32 $d, $a;", (a, _) => (ulong)(int)a);
        W("cvt.u64.u32 $d, $a;", (a, _) => a);
        Same("cvt.u32.u64 $d, $a;", "u64", "u32", Longs, (a, _, _) => (uint)a);
        void N(string instruction, Func<uint, uint> f) => Same(instruction, "u32", "u32", Wide(Words), (a, _, _) => f((uint)a));
        N("cvt.u16.u32 %rs1, $a; cvt.s32.s16 $d, %rs1;", a => (uint)(short)a);
        N("cvt.u16.u32 %rs1, $a; cvt.u32.u16 $d, %rs1;", a => (ushort)a);
        N("cvt.u16.u32 %rs1, $a; cvt.s16.s8 %rs2, %rs1; cvt.u32.u16 $d, %rs2;", a => (ushort)(sbyte)a);
        N("cvt.s32.s8 $d, $a;", a => (uint)(sbyte)a);
        N("cvt.u16.u32 %rs1, $a; shr.s16 %rs2, %rs1, 3; cvt.u32.u16 $d, %rs2;", a => (ushort)((short)a >> 3));
        N("cvt.u16.u32 %rs1, $a; add.s16 %rs2, %rs1, -3; and.b16 %rs2, %rs2, 0xfff0; cvt.u32.u16 $d, %rs2;", a => (ushort)(a - 3) & 0xfff0u);
        N("cvt.u16.u32 %rs1, $a; mul.wide.s16 $d, %rs1, 100;", a => (uint)((short)a * 100));
    }

    [Fact]
    public void Conversions_with_floats()
    {
        void I(string instruction, Func<float, uint> f) => Same(instruction, "f32", "u32", FloatBits, (a, _, _) => f(F(a)));
        static uint Clamp(double x) => double.IsNaN(x) ? 0 : (uint)(int)Math.Clamp(x, int.MinValue, int.MaxValue);
        I("cvt.rzi.s32.f32 $d, $a;", a => Clamp(Math.Truncate((double)a)));
        I("cvt.rni.s32.f32 $d, $a;", a => Clamp(Math.Round((double)a, MidpointRounding.ToEven)));
        I("cvt.rmi.s32.f32 $d, $a;", a => Clamp(Math.Floor((double)a)));
        I("cvt.rpi.s32.f32 $d, $a;", a => Clamp(Math.Ceiling((double)a)));
        I("cvt.rzi.u32.f32 $d, $a;", a => float.IsNaN(a) ? 0 : (uint)Math.Clamp(Math.Truncate((double)a), 0, uint.MaxValue));
        I("cvt.f64.f32 %fd1, $a; mul.rn.f64 %fd1, %fd1, 0d3FD5555555555555; cvt.rn.f32.f64 %f1, %fd1; mov.b32 $d, %f1;",
            a => (uint)Bits((float)(a * (1.0 / 3))));
        Single("cvt.rni.f32.f32 $d, $a;", (a, _, _) => MathF.Round(a, MidpointRounding.ToEven));
        Single("cvt.sat.f32.f32 $d, $a;", (a, _, _) => float.IsNaN(a) ? 0 : Math.Clamp(a, 0, 1));
        Single("cvt.rn.f16.f32 %rs1, $a; cvt.f32.f16 $d, %rs1;", (a, _, _) => (float)(Half)a);
        Same("cvt.rn.f32.s32 $d, $a;", "u32", "f32", Wide(Words), (a, _, _) => Bits((float)(int)a));
        Same("cvt.rn.f32.u32 $d, $a;", "u32", "f32", Wide(Words), (a, _, _) => Bits((float)(uint)a));
        Same("cvt.rn.f32.s64 $d, $a;", "u64", "f32", Longs, (a, _, _) => Bits((float)(long)a));
        Same("cvt.rn.f32.u64 $d, $a;", "u64", "f32", Longs, (a, _, _) => Bits((float)(UInt128)a));
    }

    [Theory]
    [InlineData("ex2.approx.f32 %f1, %f1;", "approximation")]
    [InlineData("add.f32 %f1, %f1, %f1;", "fuse")]
    [InlineData("atom.global.add.f32 %f1, [%rd1], %f1;", "float atomic")]
    [InlineData("frobnicate.s32 %r1, %r1;", "not known")]
    [InlineData("add.s32 %r1, %rd1, %r1;", "4 bytes")]
    [InlineData("bra NOWHERE;", "no label NOWHERE")]
    [InlineData("bar.warp.sync -1;", "bar.sync")]
    [InlineData("shfl.bfly.b32 %r1, %r1, 1, 31;", "without .sync")]
    public void What_is_not_known_is_refused_with_its_line(string instruction, string message)
    {
        using var device = new Device();
        var fault = Assert.Throws<CudaFault>(() => device.Kernel("u64", instruction));
        Assert.Contains(message, fault.Message);
        Assert.Contains("test.ptx line 15", fault.Message);
    }
}
