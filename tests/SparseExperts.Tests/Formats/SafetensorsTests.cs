using System.Buffers.Binary;
using System.Text;
using SparseExperts.Formats;
using SparseExperts.Tests.Fuzz;
using Xunit;

namespace SparseExperts.Tests.Formats;

public sealed class SafetensorsTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("sparse-experts-").FullName;

    string At(string name) => Path.Combine(_folder, name);
    public void Dispose() => Directory.Delete(_folder, true);

    static readonly float[] Special =
    [
        0f, -0f, 1f, -1.5f, float.Epsilon, float.NaN, BitConverter.Int32BitsToSingle(0x7fc12345),
        float.PositiveInfinity, float.NegativeInfinity, 3e38f,
    ];

    string Valid(string name)
    {
        var metadata = new Dictionary<string, string> { ["b"] = "2", ["a"] = "1 ⟦" };
        SafetensorsWriter.Write(At(name), metadata, [("first", [2, 5], Special), ("nothing", [0, 3], Array.Empty<float>()), ("one", [], new[] { 7f })]);
        return At(name);
    }

    [Fact]
    public void Every_bit_survives_a_round_trip()
    {
        using var file = SafetensorsFile.Open(Valid("a"));
        Assert.Equal(Special.Select(BitConverter.SingleToInt32Bits), file.ReadFloats("first").Select(BitConverter.SingleToInt32Bits));
        Assert.Equal([7f], file.ReadFloats("one"));
        Assert.Empty(file.ReadFloats("nothing"));
        Assert.Equal(("1 ⟦", "2"), (file.Metadata["a"], file.Metadata["b"]));
    }

    [Fact]
    public void Equal_contents_give_equal_bytes_and_aligned_data()
    {
        Assert.Equal(File.ReadAllBytes(Valid("a")), File.ReadAllBytes(Valid("b")));
        Assert.Equal(0ul, BinaryPrimitives.ReadUInt64LittleEndian(File.ReadAllBytes(At("a"))) % 8);
    }

    /// <summary>Two readers that ask at the same moment, of a file that was just opened, for as many files as a second has room for.</summary>
    [Fact]
    public void Readers_side_by_side_do_not_disturb_each_other()
    {
        float[][] numbers = [[.. Enumerable.Repeat(0f, 1000)], [.. Enumerable.Repeat(1f, 1000)]];
        SafetensorsWriter.Write(At("two"), new Dictionary<string, string>(), [("t0", [1000], numbers[0]), ("t1", [1000], numbers[1])]);
        Assert.Null(SideBySide.Run(1000, TimeSpan.FromSeconds(1), () => SafetensorsFile.Open(At("two")),
            (file, reader) => Assert.Equal(numbers[reader], file.ReadFloats($"t{reader}"))));
    }

    public static TheoryData<string, int, string> Hostile() => new()
    {
        { """{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}""", 16, "stands twice" },
        { """{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,12]}}""", 12, "needs 16" },
        { """{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,32]}}""", 16, "claims bytes 0…32 of 16" },
        { """{"a":{"dtype":"F32","shape":[4],"data_offsets":[16,0]}}""", 16, "claims bytes 16…0" },
        { """{"a":{"dtype":"F32","shape":[-4],"data_offsets":[0,16]}}""", 16, "a number that is no size" },
        { """{"a":{"dtype":"F32","shape":[4.5],"data_offsets":[0,16]}}""", 16, "a number that is no size" },
        { """{"a":{"dtype":"F99","shape":[4],"data_offsets":[0,16]}}""", 16, "unknown dtype 'F99'" },
        { """{"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],"data_offsets":[0,16]}}""", 16, "more elements than can be" },
        {
            """{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""",
            12,
            "starts at 4, the one before ends at 8"
        },
        { """{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""", 12, "starts at 4, the one before ends at 0" },
        { """{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", 12, "cover 8 bytes of 12" },
        { """{"a":{"dtype":"F32","shape":[2]}}""", 8, "lacks dtype, shape or two data_offsets" },
        { """{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1}}""", 8, "unknown field 'more'" },
        { """{"a":7}""", 8, "not valid JSON of the expected form" },
        { """{"__metadata__":{"a":1}}""", 0, "metadata 'a' is not a string" },
        { """[1]""", 0, "not a JSON object" },
        { """{"a":{"b":{"c":{"d":{"e":{"f":1}}}}}}""", 0, "not valid JSON" },
        { """{"a""", 0, "not valid JSON" },
    };

    [Theory]
    [MemberData(nameof(Hostile))]
    public void A_hostile_header_is_refused_with_one_line_that_says_why(string header, int data, string expected)
    {
        File.WriteAllBytes(At("bad"), [.. Length((ulong)Encoding.UTF8.GetByteCount(header)), .. Encoding.UTF8.GetBytes(header), .. new byte[data]]);
        var error = Assert.Throws<InvalidFileException>(() => SafetensorsFile.Open(At("bad")));
        Assert.Contains(expected, error.Message);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [InlineData(0ul, 5, "5 bytes are too few")]
    [InlineData(ulong.MaxValue, 40, "claims 18446744073709551615 bytes")]
    [InlineData(33ul, 40, "claims 33 bytes, the file has 32")]
    public void A_header_length_is_not_believed(ulong length, int size, string expected)
    {
        File.WriteAllBytes(At("bad"), [.. new byte[size]]);
        using (var stream = File.OpenWrite(At("bad"))) stream.Write(Length(length)[..Math.Min(8, size)]);
        Assert.Contains(expected, Assert.Throws<InvalidFileException>(() => SafetensorsFile.Open(At("bad"))).Message);
    }

    [Fact]
    public void A_missing_file_and_a_folder_are_refused()
    {
        Assert.Contains("no such file", Assert.Throws<InvalidFileException>(() => SafetensorsFile.Open(At("missing"))).Message);
        Assert.Contains("cannot be opened", Assert.Throws<InvalidFileException>(() => SafetensorsFile.Open(_folder)).Message);
    }

    /// <summary>Whatever happens to the bytes of a file, it either reads or is refused with one line, and never takes much memory.</summary>
    [Fact]
    public void A_mutated_file_reads_or_is_refused_without_a_large_allocation()
    {
        var valid = File.ReadAllBytes(Valid("valid"));
        var refused = 0;
        for (var seed = 0; seed < 3000; seed++)
        {
            var random = new Random(seed);
            File.WriteAllBytes(At("mutant"), Mutate(valid, random));
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                using var file = SafetensorsFile.Open(At("mutant"));
                foreach (var tensor in file.Tensors.Where(t => t.DType == "F32")) Assert.Equal(tensor.Count, file.ReadFloats(tensor.Name).Length);
            }
            catch (InvalidFileException e)
            {
                refused++;
                Assert.False(e.Message.Contains('\n'), $"seed {seed}: {e.Message}");
            }
            var taken = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(taken < 1 << 20, $"seed {seed}: {taken} bytes allocated");
        }
        Assert.InRange(refused, 500, 2999);
    }

    static byte[] Mutate(byte[] valid, Random random)
    {
        var bytes = valid.ToList();
        for (var n = random.Next(1, 4); n > 0; n--)
            switch (random.Next(5))
            {
                case 0: bytes[random.Next(bytes.Count)] = (byte)random.Next(256); break;
                case 1: bytes.RemoveRange(random.Next(bytes.Count), 1); break;
                case 2: bytes.Insert(random.Next(bytes.Count), (byte)random.Next(256)); break;
                case 3: bytes.RemoveRange(bytes.Count / 2 + random.Next(bytes.Count / 2), 1 + random.Next(2)); break;
                default:
                    var digits = Enumerable.Range(8, bytes.Count - 8).Where(i => bytes[i] is >= (byte)'0' and <= (byte)'9').ToArray();
                    if (digits.Length > 0) bytes[digits[random.Next(digits.Length)]] = (byte)('0' + random.Next(10));
                    break;
            }
        return [.. bytes];
    }

    [Fact]
    public void An_atomic_write_that_fails_leaves_the_old_file_and_nothing_else()
    {
        AtomicFile.WriteText(At("file"), "old");
        Assert.Throws<InvalidOperationException>(() => AtomicFile.Write(At("file"), stream =>
        {
            stream.Write("half"u8);
            throw new InvalidOperationException();
        }));
        Assert.Equal("old", File.ReadAllText(At("file")));
        Assert.Single(Directory.GetFiles(_folder));
    }

    static byte[] Length(ulong value)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return bytes;
    }
}
