using System.IO.Compression;
using SparseExperts.Formats;
using SparseExperts.Oracle;
using SparseExperts.Routing;
using Xunit;

namespace SparseExperts.Tests.Oracle;

/// <summary>The .npz container. The files beside this test were written by numpy: plain, compressed, and with the first index fastest.</summary>
public sealed class NpzTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("sparse-experts-").FullName;

    static string Npz(string name) => Path.Combine(AppContext.BaseDirectory, "Oracle", "npz", name + ".npz");

    [Theory]
    [InlineData("fairseq.base-plain", "fairseq")]
    [InlineData("flax.tokens_choose_scatter-padding-counted", "flaxformer")]
    [InlineData("hf.switch.v4-one-expert", "transformers")]
    public void Numpy_files_hold_what_the_safetensors_hold(string name, string library)
    {
        Case npz = Case.Load(Npz(name)), other = Case.Load(Path.Combine(AppContext.BaseDirectory, "Oracle", "cases", library, name + ".safetensors"));
        Assert.Equal((other.Mode, other.Note, other.Producer), (npz.Mode, npz.Note, npz.Producer));
        Assert.Equal(other.Dialect.Name, npz.Dialect.Name);
        Assert.Equal(other.Tensors.Select(t => t.Name).Order(), npz.Tensors.Select(t => t.Name).Order());
        foreach (var tensor in other.Tensors)
        {
            Assert.Equal(tensor.Shape, npz.Get(tensor.Name).Shape);
            Assert.Equal(tensor.Values, npz.Get(tensor.Name).Values);
        }
    }

    [Theory]
    [InlineData("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", 8, "pickled objects, which are never run")]
    [InlineData("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", 8, "numpy type >f4")]
    [InlineData("{'descr': '<V2', 'fortran_order': False, 'shape': (4,), }", 8, "bfloat16 as float32")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", 8, "has 8 bytes, <f4 [3] needs 12")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296), }", 8, "a shape that cannot be")]
    [InlineData("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 8, "not of numpy's form")]
    [InlineData("__import__('os').system('true')", 8, "not of numpy's form")]
    public void Arrays_that_are_no_numbers_are_refused(string header, int bytes, string expected)
    {
        var path = Path.Combine(_folder, "wrong.npz");
        using (var zip = ZipFile.Open(path, ZipArchiveMode.Create))
        using (var entry = zip.CreateEntry("x.npy").Open())
            entry.Write([0x93, .. "NUMPY"u8, 1, 0, (byte)header.Length, 0, .. header.Select(c => (byte)c), .. new byte[bytes]]);
        Assert.Contains(expected, Assert.Throws<InvalidFileException>(() => Case.Load(path)).Message);
    }

    [Fact]
    public void What_unpacks_to_far_more_than_the_file_is_refused_before_it_is_unpacked()
    {
        var path = Path.Combine(_folder, "bomb.npz");
        using (var zip = ZipFile.Open(path, ZipArchiveMode.Create))
        using (var entry = zip.CreateEntry("x.npy", CompressionLevel.SmallestSize).Open())
            for (var i = 0; i < 32; i++) entry.Write(new byte[1 << 20]);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Contains("unpacks to more than", Assert.Throws<InvalidFileException>(() => Case.Load(path)).Message);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    /// <summary>A case of one token as numpy would write it, x = 1.5 and 0.1, with a text for meta.dtypes.</summary>
    Case WithTypes(string dtypes, bool isExact = true)
    {
        var path = Path.Combine(_folder, "types.npz");
        NpzWriter.Write(path, [("meta.format", "moe-case/1"), ("meta.dialect", "hf.mixtral"), ("meta.mode", "eval"), ("meta.dtypes", dtypes)],
            [("x", "F32", [1, 1, 2], [1.5, isExact ? 0.5 : 0.1f]), ("router.weight", "F32", [2, 2], [1, 0, 0, 1]), ("claim.expert", "I32", [1, 1, 1], [0])]);
        return Case.Load(path);
    }

    [Fact]
    public void Parameters_that_come_twice_are_refused()
    {
        var path = Path.Combine(_folder, "twice.npz");
        (string, string)[] meta =
        [
            ("meta.format", "moe-case/1"),
            ("meta.dialect", "hf.mixtral"),
            ("meta.mode", "eval"),
            ("meta.parameters", "{\"k\": 1, \"k\": 2}"),
        ];
        NpzWriter.Write(path, meta, [("x", "F32", [1, 1, 1], [1])]);
        Assert.Contains("twice.npz: parameters are not JSON", Assert.Throws<CaseException>(() => Case.Load(path)).Message);
    }

    [Fact]
    public void Types_that_arrays_had_are_restored_and_written_again()
    {
        var read = WithTypes("{\"x\": \"bf16\", \"router.weight\": \"f16\", \"x.mine\": \"bf16\"}");
        Assert.Equal((NumberFormat.BFloat16, NumberFormat.Float16), (read.Get("x").Format, read.Get("router.weight").Format));
        var again = Path.Combine(_folder, "again.npz");
        read.Save(again);
        Assert.Equal("F32", NpzFile.Read(again).Single(e => e.Name == "x").DType);
        Assert.Equal(read.Tensors.Select(t => (t.Name, t.DType)), Case.Load(again).Tensors.Select(t => (t.Name, t.DType)));
        Assert.Equal(read.Get("x").Values, Case.Load(again).Get("x").Values);
    }

    [Theory]
    [InlineData("{\"x\": \"bf16\"}", "says that x is bf16, but it holds 0.10000000149011612, which is no bf16 number; correct the one or the other")]
    [InlineData("{\"x\": \"bfloat16\"}", "says that x is bfloat16; write one of f64, f32, f16, bf16")]
    [InlineData("{\"x\": 16}", "says that x is 16; write one of")]
    [InlineData("{\"y\": \"bf16\"}", "says that y is bf16, which is not in the file")]
    [InlineData("{\"claim.expert\": \"bf16\"}", "but it holds I32; take its type out")]
    [InlineData("{\"x\": \"f32\", \"x\": \"f32\"}", "write a JSON object such as")]
    [InlineData("[\"x\"]", "write a JSON object such as")]
    [InlineData("bf16", "write a JSON object such as")]
    public void Types_that_contradict_the_numbers_are_refused(string dtypes, string expected)
    {
        var message = Assert.Throws<CaseException>(() => WithTypes(dtypes, isExact: false)).Message;
        Assert.Contains(expected, message);
        Assert.Contains("types.npz: meta.dtypes", message);
        Assert.DoesNotContain('\n', message);
    }

    [Fact]
    public void A_mutated_file_reads_or_is_refused()
    {
        var valid = File.ReadAllBytes(Npz("fairseq.base-plain"));
        var path = Path.Combine(_folder, "mutant.npz");
        var refused = 0;
        for (var seed = 0; seed < 1000; seed++)
        {
            var random = new Random(seed);
            var bytes = (byte[])valid.Clone();
            for (var n = random.Next(1, 4); n > 0; n--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            File.WriteAllBytes(path, random.Next(4) == 0 ? bytes[..random.Next(bytes.Length)] : bytes);
            try
            {
                Case.Load(path);
            }
            catch (Exception e) when (e is InvalidFileException or CaseException or DialectException)
            {
                refused++;
                Assert.False(e.Message.Contains('\n'), $"seed {seed}: {e.Message}");
            }
        }
        Assert.InRange(refused, 300, 999);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
